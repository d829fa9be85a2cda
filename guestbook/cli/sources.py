"""The commands for sources, which send webhooks to us."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click

from guestbook.cli import app_command, options, output, row_commands, row_lookup
from guestbook.cli.options import Choice, together
from guestbook.cli.row_commands import Noun
from guestbook.inbound import samples, source_shapes
from guestbook.inbound import sources as inbound_sources
from guestbook.inbound.sender_presets import SENDER_PRESETS
from guestbook.inbound.sources import SOURCE_FIELDS
from guestbook.lib import clock
from guestbook.lib.text import for_people
from guestbook.queries import statistics, webhook_status
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Source

GROUPS_OF_SOURCE = {
    "Verification": (
        *("verify", "header", "scheme"),
        *("secret", "previous_secret", "previous_secret_expires_at"),
    ),
    "Action": ("action", "template", "relayed_since", "forwarded_in_full_since"),
}
IN_FULL = "Whether forwarded events have payloads above 14 kB too, up to 1 MB."
OLD_NAME = "guestbook.sources.relay"  # A key in click's context.
F = TypeVar("F", bound=Callable[..., Any])
secret_option = click.option(
    "--secret",
    callback=options.secret,
    help="The secret that the sender shows, or - to read it from standard input. By default a new one.",
)


_option = partial(options.of_field, SOURCE_FIELDS)
fields_of_source = together(
    click.option(
        "--preset",
        type=Choice(tuple(SENDER_PRESETS)),
        help="A known sender: sets --verify and how it signs. Other options override that.",
    ),
    _option("verify"),
    secret_option,
    _option("header", metavar="NAME"),
    _option("hash"),
    _option("encoding"),
    _option("prefix", metavar="TEXT"),
    _option("timestamp_header", metavar="NAME"),
    _option("tolerance", metavar="SECONDS"),
    _option("content", "--signed-content"),
    _option("action"),
    click.option("--template", metavar="TEXT", help=inbound_sources.TEMPLATE_FORMS),
    _option("budget_mb", "--budget", metavar="MB"),
)


def notify(name: str, old_name: str, help_text: str) -> Callable[[F], F]:
    """Return --notify-webhooks with its old name --relay, which still works."""
    return together(
        click.option(name, "relayed", is_flag=True, default=None, callback=_new_name, help=help_text),
        click.option(
            old_name,
            is_flag=True,
            default=None,
            hidden=True,
            help="The old name of --notify-webhooks.",
            expose_value=False,
            is_eager=True,
            callback=_old_name,
        ),
    )


def _old_name(context: click.Context, _param: click.Parameter, value: bool | None) -> None:
    if value is not None:
        context.meta[OLD_NAME] = value
        click.echo("--relay is deprecated: the option is called --notify-webhooks now.", err=True)


def _new_name(context: click.Context, _param: click.Parameter, value: bool | None) -> bool | None:
    old: bool | None = context.meta.get(OLD_NAME)
    return old if value is None else value


@click.group(cls=app_command.Group)
def sources() -> None:
    """Manage sources: services that send webhooks to the book."""


@sources.command()
@click.argument("name")
@fields_of_source
@notify("--notify-webhooks", "--relay", "Let our webhooks know about comments that come from this source.")
@click.option("--forward-in-full", "in_full", is_flag=True, default=None, help=IN_FULL)
@output.as_json
def add(as_json: bool, **fields: Any) -> None:
    """Add a source and print its URL and its secret. Name its --preset or how to --verify it."""
    if not fields["verify"] and not fields["preset"]:
        raise click.UsageError("Missing option '--preset' or '--verify'.")
    with writing() as session:
        row = inbound_sources.add(session, output.given(fields))
        facts = _facts(row)
    if as_json:
        output.print_json(facts | ({} if fields["secret"] else {"secret": row.secret}))
        return
    click.echo(f"Added source {row.id}. It must send to this URL:")
    click.echo(facts["url"])
    _print_secret(row, is_given=bool(fields["secret"]))
    click.echo(f"See what arrived: {app_command.typed('inbox list')}")


@sources.command("list")
@output.as_json
def list_(as_json: bool) -> None:
    """List the sources and how they are doing."""
    failed = statistics.failed_lately(db.session(), InboundEvent, clock.now())
    row_commands.print_rows(
        webhook_status.all_sources(db.session()),
        _facts,
        {
            "NAME": "source.name",
            "STATE": lambda row: for_people(row.word),
            "VERIFY": "source.verify",
            "ACTION": "source.action",
            "LAST RECEIVED": "last_at",
            "WAITING": lambda row: output.up_to_limit(row.waiting),
            "FAILED": lambda row: failed.counts.get(row.source.id, 0),
        },
        f"No sources yet. Add one: {app_command.typed('sources add NAME --verify github')}",
        as_json=as_json,
        cut=("NAME",),
        key="source",
    )
    output.print_limit(failed, as_json)


@sources.command("show")
@row_lookup.id_argument
@output.as_json
def show_(id_: str, as_json: bool) -> None:
    """Show a source with its URL and secret, and count its events."""
    with writing() as session:
        row = row_lookup.find(Source, id_)
        row_changes.note_reveal(session, row)
    if as_json:
        output.print_json(_revealed(row))
        return
    state = webhook_status.of_source(db.session(), row).sentence
    counts = output.by_status(InboundEvent, InboundEvent.source_id == row.id)
    output.print_groups(_revealed(row) | {"state": state, "events": counts}, GROUPS_OF_SOURCE)


@sources.command()
@row_lookup.id_argument
@click.option("--name", help="The name you give it.")
@fields_of_source
@notify(
    "--notify-webhooks/--no-notify-webhooks",
    "--relay/--no-relay",
    "Whether our webhooks get to know about comments from this source.",
)
@click.option("--forward-in-full/--no-forward-in-full", "in_full", default=None, help=IN_FULL)
@output.as_json
def update(id_: str, as_json: bool, **fields: Any) -> None:
    """Change the named settings of a source."""
    wanted = output.given(fields)
    if not wanted:
        raise click.UsageError(f"Say what to change: see {app_command.typed('sources update --help')}")
    with writing() as session:
        row = row_lookup.find(Source, id_)
        before = row.secret
        inbound_sources.update(session, row, wanted)
        facts = _facts(row)
    is_new = row.secret != before and not fields["secret"]
    output.print_done(
        f"Updated source {row.id}.", facts | ({"secret": row.secret} if is_new else {}), as_json
    )
    if row.secret != before and not as_json:
        _print_secret(row, is_given=not is_new)


@sources.command()
@row_lookup.id_argument
@click.option("--event", help="The sample, such as issues.opened; by default the first of its sender.")
@output.as_json
def test(id_: str, event: str | None, as_json: bool) -> None:
    """Send a sample event to a source, signed as its sender signs.

    The next pass processes it like a real one. So a source that makes comments makes one, and one that
    forwards notifies your webhooks. There are samples of GitHub, Gitea, GitLab, Stripe, Slack, Discord,
    Shopify and other guestbooks. A source takes those of its sender, or all if its sender is not known.
    """
    row = row_lookup.find(Source, id_)
    is_disabled = row.disabled_at is not None
    event_id = samples.send_sample(row, app_command.settings(), event)
    if as_json:
        facts = source_shapes.inbound_event(row_lookup.find(InboundEvent, event_id))
        output.print_json(facts)
        return
    click.echo(f"Stored the sample as inbound event {event_id}.")
    waits = "It waits, because the source is disabled."
    then = app_command.next_pass("It is processed by itself at once.", "Process it now")
    click.echo(waits if is_disabled else then)
    click.echo(f"See what became of it: {app_command.typed(f'inbox show {event_id}')}")


def _print_secret(row: Source, *, is_given: bool) -> None:
    """Print how its sender proves itself. A secret that was given is not printed again."""
    value = " that you gave." if is_given else f": {row.secret}"
    if row.verify == "token":
        click.echo(f"It must send {'its token' if is_given else 'this'} in the header {row.header}{value}")
    elif row.verify == "ed25519":
        click.echo(f"Its signatures are checked with this public key: {row.secret}")
    elif row.secret:
        click.echo(f"It must sign with {'the' if is_given else 'this'} secret{value}")
    else:
        click.echo("It has no secret: anybody who knows the URL can send.")


def _revealed(row: Source) -> dict[str, Any]:
    """Return what `show` prints: a source with its secrets."""
    return _facts(row) | {"secret": row.secret, "previous_secret": row.previous_secret}


def _facts(row: Source) -> dict[str, Any]:
    """Return a source as the API does. Nothing in it but its URL is secret."""
    return source_shapes.source(row, app_command.settings())


SOURCE = Noun(sources, Source, _facts)
row_commands.add_switches(
    SOURCE,
    enable="Process its events again, also those that wait.",
    disable="Only store its events and do nothing with them.",
)
row_commands.add_rotation(
    SOURCE,
    row_commands.SECRET,
    lambda session, row, overlap, given: inbound_sources.rotate(session, row, clock.now(), given, overlap),
    secret_option,
    is_valid="is accepted",
    help_text="""Set a new secret and print it.

    For a while both secrets are accepted, so that nothing is refused.""",
)
row_commands.add_deletion(
    SOURCE,
    inbound_sources.delete,
    InboundEvent,
    ("event", "events"),
    """Delete a source and its events.

    Comments from the source stay. To keep the events too, disable it instead. On a terminal it says what
    goes, and asks.""",
)

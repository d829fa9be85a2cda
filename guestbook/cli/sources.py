"""The commands for sources, which send webhooks to us."""

from functools import partial
from typing import Any

import click

from guestbook.cli import app_command, options, output, row_commands
from guestbook.cli.row_commands import Noun
from guestbook.inbound import samples, source_json, sources as inbound_sources
from guestbook.inbound.sender_presets import SENDER_PRESETS
from guestbook.inbound.sources import SOURCE_FIELDS
from guestbook.lib.verification.kinds import IN_BODY
from guestbook.queries import webhook_status
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Source

GROUPS_OF_SOURCE = {
    "Verification": "verify header scheme secret previous_secret previous_secret_expires_at",
    "Action": "action template event_condition relayed_since forwarded_in_full_since",
}
_option = partial(options.of_field, SOURCE_FIELDS)
secret_option = _option("secret", callback=options.secret)
fields_of_source = options.together(
    click.option(
        "--preset",
        type=options.Choice(tuple(SENDER_PRESETS)),
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
    _option("event_condition", "--condition", metavar="TEXT"),
    _option("relayed", "--notify-webhooks/--no-notify-webhooks"),
    _option("relayed", "--relay/--no-relay", hidden=True),  # The old name still works.
    _option("forwarded_in_full", "--forward-in-full/--no-forward-in-full"),
    _option("budget_mb", "--budget", metavar="MB"),
)


@click.group(cls=app_command.Group)
def sources() -> None:
    """Manage sources: services that send webhooks to the book."""


@sources.command()
@click.argument("name")
@fields_of_source
def add(**fields: Any) -> None:
    """Add a source and print its URL and its secret, by default a new one.

    Name its --preset or how to --verify it.
    """
    if not fields["verify"] and not fields["preset"]:
        raise click.UsageError("Missing option '--preset' or '--verify'.")
    with writing() as session:
        row = inbound_sources.add(session, output.given(fields))
        facts = _facts(row)
    output.print_done(
        facts | ({} if fields["secret"] else {"secret": row.secret}),
        f"Added source {row.id}. It must send to this URL:\n{facts['url']}",
        _secret_in_words(row, is_given=bool(fields["secret"])),
        f"See what arrived: {app_command.typed('inbox list')}",
    )


@sources.command()
@row_commands.id_argument
@click.option("--name", help="The name you give it.")
@fields_of_source
def update(id_: str, **fields: Any) -> None:
    """Change the named settings of a source."""
    wanted = output.given(fields)
    if not wanted:
        raise click.UsageError(f"Say what to change: see {app_command.typed('sources update --help')}")
    with writing() as session:
        row = row_commands.find(Source, id_)
        before = row.secret
        inbound_sources.update(session, row, wanted)
        facts = _facts(row)
    has_other, is_given = row.secret != before, bool(fields["secret"])
    facts |= {"secret": row.secret} if has_other and not is_given else {}
    said = has_other and _secret_in_words(row, is_given=is_given)
    output.print_done(facts, f"Updated source {row.id}.", said)


@sources.command()
@row_commands.id_argument
@click.option("--event", help="The sample, such as issues.opened; by default the first of its sender.")
def test(id_: str, event: str | None) -> None:
    """Send a sample event to a source, signed as its sender signs.

    The next pass processes it like a real one. So a source that makes comments makes one, and one that
    forwards notifies your webhooks. There are samples of GitHub, Gitea, GitLab, Stripe, Slack, Discord,
    Shopify and other guestbooks. A source takes those of its sender, or all if its sender is not known.
    """
    row = row_commands.find(Source, id_)
    is_disabled = row.disabled_at is not None
    event_id = samples.send_sample(row, app_command.settings(), event)
    then = app_command.next_pass("It is processed by itself at once.", "Process it now")
    output.print_done(
        source_json.inbound_event(row_commands.find(InboundEvent, event_id)),
        f"Stored the sample as inbound event {event_id}.",
        "It waits, because the source is disabled." if is_disabled else then,
        f"See what became of it: {app_command.typed(f'inbox show {event_id}')}",
    )


def _secret_in_words(row: Source, *, is_given: bool) -> str:
    """Say how its sender proves itself. A secret that was given is not printed again."""
    end = "." if is_given else f": {row.secret}"
    if row.verify == "token":
        place = "field" if (row.header or "").startswith(IN_BODY) else "header"
        return f"It must send {'your token' if is_given else 'this'} in the {place} {row.header}{end}"
    if row.verify == "ed25519":
        return f"Its signatures are checked with this public key: {row.secret}"
    if row.secret:
        return f"It must sign with {'the secret that you gave' if is_given else 'this secret'}{end}"
    return "It has no secret: anybody who knows the URL can send."


def _facts(row: Source) -> dict[str, Any]:
    """Return a source as the API does. Nothing in it but its URL is secret."""
    return source_json.source(row, app_command.settings())


SOURCE = Noun(sources, Source, "source", _facts, InboundEvent, ("event", "events"))
NEW_SECRET = """Set a new secret and print it.

For a while both secrets are accepted, so that nothing is refused."""
DELETE = """Delete a source and its events.

Comments from the source stay. To keep the events too, disable it instead. On a terminal it says what goes,
and asks."""
COLUMNS = {"VERIFY": "source.verify", "ACTION": "source.action", "LAST RECEIVED": "last_at"}
row_commands.add_list(SOURCE, webhook_status.all_sources, COLUMNS, "NAME --verify github")
row_commands.add_show(
    SOURCE,
    ("secret", "previous_secret"),
    lambda row: webhook_status.of_source(db.session(), row).sentence,
    GROUPS_OF_SOURCE,
)
row_commands.add_switch(SOURCE, "enable", "Process its events again, also those that wait.")
row_commands.add_switch(SOURCE, "disable", "Only store its events and do nothing with them.")
row_commands.add_rotation(SOURCE, "secret", inbound_sources.rotate, secret_option, "is accepted", NEW_SECRET)
row_commands.add_deletion(SOURCE, DELETE)

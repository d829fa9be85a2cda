"""The commands for sources, which send webhooks to us."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import click

from guestbook.cli import app_command, output, row_counts, row_lookup, secrets
from guestbook.cli.option_types import together
from guestbook.inbound import source_fields
from guestbook.inbound import sources as inbound_sources
from guestbook.inbound.template_presets import PRESETS
from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.lib.verification.verify_signature import TOKEN_HEADER
from guestbook.queries import bounded_counts, source_status, state_words
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Source
from guestbook.storage.models.source import ACTIONS, BUDGET_MB, VERIFY

IS_ACCEPTED = "is accepted"  # an old secret, for a while

OLD_NAME = "guestbook.sources.relay"  # key in click's context for the value of the option's old name
F = TypeVar("F", bound=Callable[..., Any])
verify_help = "How its webhooks are verified."
secret_option = click.option(
    "--secret",
    callback=secrets.option,
    help="The secret that the sender shows, or - to read it from standard input. By default a new one.",
)
fields_of_source = together(
    secret_option,
    click.option("--header", metavar="NAME", help=f"The header with the token, {TOKEN_HEADER} by default."),
    click.option(
        "--action",
        type=click.Choice(ACTIONS),
        help="What to do with its events: log keeps them, comment signs the book, forward notifies webhooks.",
    ),
    click.option(
        "--template",
        metavar="TEXT",
        help=f"A Jinja template of the comment, or the name of a ready-made one: {', '.join(PRESETS)}.",
    ),
    click.option(
        "--budget",
        "budget_mb",
        type=click.IntRange(source_fields.LEAST_MB, source_fields.MOST_MB),
        metavar="MB",
        help=f"Megabytes for events that are not verified yet, {BUDGET_MB} by default.",
    ),
)


def _notify_option(name: str, old_name: str, help_text: str) -> Callable[[F], F]:
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
@click.option("--verify", type=click.Choice(VERIFY), required=True, help=verify_help)
@fields_of_source
@_notify_option(
    "--notify-webhooks", "--relay", "Let our webhooks know about comments that come from this source."
)
@output.as_json
def add(as_json: bool, **fields: Any) -> None:
    """Add a source and print its URL and its secret."""
    with writing() as session:
        facts = _document(inbound_sources.add(session, output.given(fields)))
    if as_json:
        output.print_json(facts)
        return
    click.echo(f"Added source {facts['id']}. It must send to this URL:")
    click.echo(facts["url"])
    _print_secret(facts)
    click.echo(f"See what arrived: {app_command.typed('inbox list')}")


@sources.command("list")
@output.as_json
def list_(as_json: bool) -> None:
    """List the sources and how they are doing."""
    rows = source_status.all_of(db.session())
    failed = bounded_counts.failed_lately(db.session(), InboundEvent, clock.now())
    if as_json:
        output.print_json([_document(row.source, leave_out=secrets.SECRET_COLUMNS) for row in rows])
        return
    length = output.id_length([row.source.id for row in rows])
    output.print_table(
        ("ID", "NAME", "STATE", "VERIFY", "ACTION", "LAST RECEIVED", "WAITING", "FAILED"),
        [
            (
                *(row.source.id[:length], row.source.name, state_words.for_people(row.word)),
                *(row.source.verify, row.source.action),
                *(row.last_at, row.waiting, failed.counts.get(row.source.id, 0)),
            )
            for row in rows
        ],
        f"No sources yet. Add one: {app_command.typed('sources add NAME --verify github')}",
        cut=("NAME",),
    )
    row_counts.print_limit(failed)


@sources.command("show")
@row_lookup.id_argument
@output.as_json
def show_(id_: str, as_json: bool) -> None:
    """Show a source with its URL and secret, and count its events."""
    row = row_lookup.find(Source, id_)
    if as_json:
        output.print_json(_document(row))
        return
    state = source_status.of(db.session(), row).sentence
    counts = row_counts.by_status(InboundEvent, InboundEvent.source_id == row.id)
    output.print_fields({**_document(row), "state": state, "events": counts})


@sources.command()
@row_lookup.id_argument
@click.option("--name", help="The name you give it.")
@click.option("--verify", type=click.Choice(VERIFY), help=verify_help)
@fields_of_source
@_notify_option(
    "--notify-webhooks/--no-notify-webhooks",
    "--relay/--no-relay",
    "Whether our webhooks get to know about comments from this source.",
)
def update(id_: str, **fields: Any) -> None:
    """Change the named settings of a source."""
    wanted = output.given(fields)
    if not wanted:
        raise click.UsageError(f"Say what to change: see {app_command.typed('sources update --help')}")
    with writing() as session:
        row = row_lookup.find(Source, id_)
        before = row.secret
        inbound_sources.update(session, row, wanted)
        facts = _document(row)
    click.echo(f"Updated source {facts['id']}.")
    if facts["secret"] != before:
        _print_secret(facts)


@sources.command()
@row_lookup.id_argument
def enable(id_: str) -> None:
    """Process its events again, also those that wait."""
    with writing():
        row = row_lookup.find(Source, id_)
        row.enable()
    click.echo(f"Enabled source {row.id}.")


@sources.command()
@row_lookup.id_argument
def disable(id_: str) -> None:
    """Only store its events and do nothing with them."""
    with writing():
        row = row_lookup.find(Source, id_)
        row.disable(clock.now())
    click.echo(f"Disabled source {row.id}.")


@sources.command("rotate-secret")
@row_lookup.id_argument
@secret_option
@secrets.overlap_option(IS_ACCEPTED)
@output.as_json
def rotate_secret(id_: str, secret: str | None, overlap_hours: float, as_json: bool) -> None:
    """Set a new secret and print it.

    For a while both secrets are accepted, so that nothing is refused.
    """
    with writing() as session:
        row = row_lookup.find(Source, id_)
        inbound_sources.rotate(session, row, clock.now(), secret, timedelta(hours=overlap_hours))
        facts = _document(row)
    secrets.print_new_secret(facts, overlap_hours, IS_ACCEPTED, as_json)


@sources.command()
@row_lookup.id_argument
def delete(id_: str) -> None:
    """Delete a source and its events.

    Comments from the source stay. To keep the events too, disable it instead.
    """
    row_id = row_lookup.find(Source, id_).id
    db.session.rollback()  # a reader would keep SQLite's rollback journal from being written
    count = inbound_sources.delete(db.engine, row_id)
    click.echo(f"Deleted source {row_id} and {counted(count, 'event')}.")


def _print_secret(facts: dict[str, Any]) -> None:
    if facts["verify"] == "token":
        click.echo(f"It must send this in the header {facts['header']}: {facts['secret']}")
    elif facts["secret"]:
        click.echo(f"It must sign with this secret: {facts['secret']}")
    else:
        click.echo("It has no secret: anybody who knows the URL can send.")


def _document(row: Source, **how: Any) -> dict[str, Any]:
    return {**output.document(row, **how), "url": row.url(app_command.settings().base_url)}

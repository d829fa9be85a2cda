"""The sources from the shell: who sends webhooks to us."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import click

from guestbook.cli import app_command, output, row_lookup, secrets, webhooks_and_sources
from guestbook.cli.help_sections import Group
from guestbook.inbound import source_fields
from guestbook.inbound import sources as inbound_sources
from guestbook.inbound.template_presets import PRESETS
from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.lib.verification import TOKEN_HEADER
from guestbook.queries import listing, source_status
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Source
from guestbook.storage.models.source import ACTIONS, BUDGET_MB, VERIFY

F = TypeVar("F", bound=Callable[..., Any])
IS_GOOD = "is good"  # what an old secret is for a while

verify_help = "How its sender is verified."
secret_option = click.option(
    "--secret",
    callback=secrets.option,
    help="The secret that the sender shows, or - to read it from standard input; without, one is made.",
)
header_option = click.option(
    "--header", metavar="NAME", help=f"Which header brings the token, {TOKEN_HEADER} by default."
)
action_option = click.option(
    "--action",
    type=click.Choice(ACTIONS),
    help="What to do with what comes: log keeps it, comment signs the book, forward tells our webhooks.",
)
template_option = click.option(
    "--template",
    metavar="TEXT",
    help=f"A Jinja template that makes the comment, or the name of a ready one: {', '.join(PRESETS)}.",
)
budget_option = click.option(
    "--budget",
    "budget_mb",
    type=click.IntRange(source_fields.LEAST_MB, source_fields.MOST_MB),
    metavar="MB",
    help=f"Megabytes that its unproven events may take, {BUDGET_MB} by default.",
)


OLD_NAME = "guestbook.sources.relay"  # key in click's context for the value of the option's old name


def notify_option(name: str, old_name: str, help_text: str) -> Callable[[F], F]:
    """Return --notify-webhooks with its old name --relay, which still works."""

    def decorate(function: F) -> F:
        old = click.option(
            old_name,
            is_flag=True,
            default=None,
            hidden=True,
            expose_value=False,
            is_eager=True,
            callback=_old_name,
            help="The old name of --notify-webhooks.",
        )
        new = click.option(name, "relayed", is_flag=True, default=None, callback=_new_name, help=help_text)
        return new(old(function))

    return decorate


def _old_name(context: click.Context, _param: click.Parameter, value: bool | None) -> None:
    if value is not None:
        context.meta[OLD_NAME] = value
        click.echo("--relay is deprecated: the option is called --notify-webhooks now.", err=True)


def _new_name(context: click.Context, _param: click.Parameter, value: bool | None) -> bool | None:
    old: bool | None = context.meta.get(OLD_NAME)
    return old if value is None else value


@click.group(cls=Group)
def sources() -> None:
    """Manage the sources: services that send webhooks to the book."""


@sources.command()
@click.argument("name")
@click.option("--verify", type=click.Choice(VERIFY), required=True, help=verify_help)
@secret_option
@header_option
@action_option
@template_option
@budget_option
@notify_option("--notify-webhooks", "--relay", "Let our webhooks know about the comments it makes.")
@output.as_json
@app_command.run
def add(as_json: bool, **fields: Any) -> None:
    """Add a sender and print the URL to give away, and the secret."""
    with writing() as session:
        facts = _document(inbound_sources.add(session, output.given(fields)))
    if as_json:
        output.print_json(facts)
        return
    click.echo(f"Added source {facts['id']}. Let it send to this URL:")
    click.echo(facts["url"])
    _say_secret(facts)
    click.echo(f"See what came: {app_command.typed('inbox list')}")


@sources.command("list")
@output.as_json
@app_command.run
def list_(as_json: bool) -> None:
    """List the sources and how they are doing."""
    rows = source_status.all_of(db.session())
    failed = listing.failed_lately(db.session(), InboundEvent, clock.now())
    if as_json:
        output.print_json([_document(row.source, leave_out=webhooks_and_sources.SECRETS) for row in rows])
        return
    length = output.id_length([row.source.id for row in rows])
    output.print_table(
        ("ID", "NAME", "STATE", "VERIFY", "ACTION", "LAST RECEIVED", "WAITING", "FAILED"),
        [
            (
                *(row.source.id[:length], row.source.name, row.word, row.source.verify, row.source.action),
                *(row.last_at, row.waiting, failed.counts.get(row.source.id, 0)),
            )
            for row in rows
        ],
        f"No sources yet. Add one: {app_command.typed('sources add NAME --verify github')}",
        cut=("NAME",),
    )
    webhooks_and_sources.say_cut(failed)


@sources.command("show")
@row_lookup.id_argument
@output.as_json
@app_command.run
def show_(id_: str, as_json: bool) -> None:
    """Show one: its URL, its secret and what has come."""
    row = row_lookup.find(Source, id_)
    if as_json:
        output.print_json(_document(row))
        return
    state = source_status.of(db.session(), row).sentence
    counts = webhooks_and_sources.by_status(InboundEvent, InboundEvent.source_id == row.id)
    output.print_fields({**_document(row), "state": state, "events": counts})


@sources.command()
@row_lookup.id_argument
@click.option("--name", help="What you call it.")
@click.option("--verify", type=click.Choice(VERIFY), help=verify_help)
@secret_option
@header_option
@action_option
@template_option
@budget_option
@notify_option(
    "--notify-webhooks/--no-notify-webhooks",
    "--relay/--no-relay",
    "Whether our webhooks get to know about the comments it makes.",
)
@app_command.run
def update(id_: str, **fields: Any) -> None:
    """Change a source; what is not named stays."""
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
        _say_secret(facts)


@sources.command()
@row_lookup.id_argument
@app_command.run
def enable(id_: str) -> None:
    """Work through what it sends again, and through what waits."""
    with writing():
        row = row_lookup.find(Source, id_)
        row.enable()
    click.echo(f"Enabled source {row.id}.")


@sources.command()
@row_lookup.id_argument
@app_command.run
def disable(id_: str) -> None:
    """Store what it sends and do nothing with it."""
    with writing():
        row = row_lookup.find(Source, id_)
        row.disable(clock.now())
    click.echo(f"Disabled source {row.id}.")


@sources.command("rotate-secret")
@row_lookup.id_argument
@secret_option
@webhooks_and_sources.overlap_option(IS_GOOD)
@output.as_json
@app_command.run
def rotate_secret(id_: str, secret: str | None, overlap_hours: float, as_json: bool) -> None:
    """Take a new secret and print it.

    For a while both the old and the new one are good, so that nothing is refused.
    """
    with writing() as session:
        row = row_lookup.find(Source, id_)
        inbound_sources.rotate(session, row, clock.now(), secret, timedelta(hours=overlap_hours))
        facts = _document(row)
    if as_json:
        output.print_json(facts)
        return
    webhooks_and_sources.print_new_secret(facts, overlap_hours, IS_GOOD)


@sources.command()
@row_lookup.id_argument
@app_command.run
def delete(id_: str) -> None:
    """Remove a source and all that it has sent.

    The comments that came of it stay. To keep the rest too, disable it instead.
    """
    row_id = row_lookup.find(Source, id_).id
    db.session.rollback()  # a reader would keep SQLite's rollback journal from being written
    count = inbound_sources.delete(db.engine, row_id)
    click.echo(f"Deleted source {row_id} and {counted(count, 'event')}.")


def _say_secret(facts: dict[str, Any]) -> None:
    if facts["verify"] == "token":
        click.echo(f"It must send this in the header {facts['header']}: {facts['secret']}")
    elif facts["secret"]:
        click.echo(f"It must sign with this secret: {facts['secret']}")
    else:
        click.echo("It has no secret: whoever knows the URL may send.")


def _document(row: Source, **how: Any) -> dict[str, Any]:
    return {**output.document(row, **how), "url": row.url(app_command.settings().base_url)}

"""The inbox from the shell."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from sqlalchemy import ColumnElement, select

from guestbook import again, browse, clock, passes
from guestbook.cli import passes as commands
from guestbook.cli import show
from guestbook.database import db
from guestbook.inbox import judge, shown
from guestbook.models import InboundEvent, Source
from guestbook.models.delivery import STATUSES

BYTES = ("headers", "payload", "encoding")  # a list does without them


@click.group()
def inbox() -> None:
    """See what others have sent and what became of it; do it again."""


@inbox.command()
@click.option(
    "--max-seconds",
    type=show.FiniteRange(0.1, 86400),
    default=50,
    show_default=True,
    help="Start nothing new after so many seconds.",
)
@click.option("-v", "--verbose", is_flag=True, help="Tell what happens to each event.")
@show.command
def process(max_seconds: float, verbose: bool) -> None:
    """Work through what came in, and nothing else. Silence means that all is well."""
    commands.run(passes.Options(max_seconds, outbox=False, housekeeping=False), verbose)


@inbox.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only those.")
@click.option("--source", "source_id", metavar="ID", help="Only those of one source.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many.")
@show.as_json
@show.command
def list_(status: str | None, source_id: str | None, limit: int, as_json: bool) -> None:
    """List inbound events, newest first."""
    rows = _newest(browse.InboundEvents(status=status, source_id=_source(source_id)), limit)
    if as_json:
        show.print_json([show.document(row, leave_out=BYTES) for row in rows])
        return
    names = {row.id: row.name for row in db.session.execute(select(Source.id, Source.name))}
    show.print_table(
        ("ID", "RECEIVED", "SOURCE", "EVENT", "SENDER", "STATUS", "WHAT BECAME OF IT"),
        [
            (row.id, row.received_at, names.get(row.source_id), row.event, row.sender, row.status, _fate(row))
            for row in rows
        ],
        "Nothing has come in yet.",
    )


@inbox.command("show")
@click.argument("id_", metavar="ID")
@show.as_json
@show.command
def show_(id_: str, as_json: bool) -> None:
    """Show one: what came, how it was verified, what became of it."""
    row = show.find(InboundEvent, id_)
    verdict = judge.verify(row, db.session.get_one(Source, row.source_id), show.settings().secret_key)
    facts = {**show.document(row), "headers": shown.headers(row)}
    if as_json:
        show.print_json({**facts, "verification": asdict(verdict)})
        return
    show.print_fields({name: value for name, value in facts.items() if name not in BYTES})
    _print_part("Headers", facts["headers"])
    _print_part(f"Verification: {verdict.sentence}", {step.name: step.value for step in verdict.steps})
    _print_payload(row)


@inbox.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--failed", is_flag=True, help="All that failed.")
@click.option("--source", "source_id", metavar="ID", help="With --failed: only those of one source.")
@click.option(
    "--since",
    callback=show.moment,
    metavar="WHEN",
    help="With --failed: only those received since (2026-01-31, 6h, 2d).",
)
@click.option("--dry-run", is_flag=True, help="Only say how many it would be.")
@show.command
def reprocess(
    ids: tuple[str, ...], failed: bool, source_id: str | None, since: datetime | None, dry_run: bool
) -> None:
    """Make inbound events due again.

    The next pass works through them as their source is set by then. Give ids, or --failed.
    """
    if bool(ids) == failed:
        raise click.UsageError("Give ids, or --failed for all that failed.")
    if not failed and (source_id or since):
        raise click.UsageError("--source and --since go with --failed.")
    if failed:
        wanted = browse.InboundEvents(status="failed", source_id=_source(source_id), since=since)
        _reprocess(wanted.condition(), dry_run)
    else:
        _reprocess(InboundEvent.id.in_([show.find(InboundEvent, short_id).id for short_id in ids]), dry_run)


def _reprocess(which: ColumnElement[bool], dry_run: bool) -> None:
    parts = again.forecast(db.session(), InboundEvent, which, clock.now())
    if dry_run:
        click.echo(f"Would reprocess {_number(again.total(parts))}.")
    else:
        click.echo(f"Will reprocess {_number(again.run(InboundEvent, which))} with the next pass.")
    if in_hand := sum(part.in_hand for part in parts):
        click.echo(f"Left alone, because a pass works on it now: {_number(in_hand)}.")
    for part in parts:
        if part.disabled and part.count:
            click.echo(
                f"The source {show.safe(part.name)} is disabled: what it sent waits until it is enabled."
            )


def _newest(wanted: browse.InboundEvents, limit: int) -> list[InboundEvent]:
    """Return so many; a page may have looked far back and found few."""
    page = browse.inbound_events(db.session(), wanted, limit=limit)
    rows = page.rows
    while page.older and len(rows) < limit:
        page = browse.inbound_events(db.session(), wanted, page.older, limit - len(rows))
        rows += page.rows
    return rows


def _source(short_id: str | None) -> str | None:
    return None if short_id is None else show.find(Source, short_id).id


def _fate(row: InboundEvent) -> str:
    return show.shorten(row.error or row.note or "", 60)


def _print_part(heading: str, fields: dict[str, Any]) -> None:
    click.echo(f"\n{show.safe(heading)}")
    if fields:
        show.print_fields(fields)


def _print_payload(row: InboundEvent) -> None:
    view = shown.payload(row)
    click.echo(f"\nPayload ({view.kind}, {len(row.body):,} bytes)")
    for line in view.text.splitlines():
        click.echo(show.safe(line))
    if not view.is_whole:
        click.echo("… (all of it: --json)")


def _number(count: int) -> str:
    return "1 inbound event" if count == 1 else f"{count} inbound events"

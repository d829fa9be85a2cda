"""The inbox from the shell."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from sqlalchemy import select

from guestbook import browse, passes
from guestbook.cli import passes as commands
from guestbook.cli import queued, show
from guestbook.cli.help import Group
from guestbook.database import db
from guestbook.inbox import judge, shown
from guestbook.models import InboundEvent, Source

BYTES = ("headers", "payload", "encoding")  # a list does without them
WORDS = queued.Words(
    verb="reprocess",
    one="inbound event",
    many="inbound events",
    failed="failed",
    in_hand="works on",
    owner="source",
    held="it sent",
    gone="the comment was deleted for good, and what was sent for it too",
)


@click.group(cls=Group)
def inbox() -> None:
    """See what others have sent and what became of it, and process it again."""


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
@queued.status_option
@click.option("--source", metavar="ID", help="Only those of one source.")
@click.option("--event", help=f"{queued.event_help} One such as issues is issues.opened too.")
@click.option("--sender", help="Only those with this, or a part of it, as their sender.")
@click.option("--external-id", help="Only those with this id of the sender's own.")
@queued.since_option
@queued.until_option
@queued.text_option
@queued.limit_option
@show.as_json
@show.command
def list_(source: str | None, limit: int, as_json: bool, **filters: Any) -> None:
    """List inbound events, newest first."""
    wanted = browse.InboundEvents(source_id=queued.owner_id(Source, source), **queued.cleaned(filters))
    rows = queued.newest(browse.inbound_events, wanted, limit)
    if as_json:
        show.print_json([show.document(row, leave_out=BYTES) for row in rows])
        return
    names = {row.id: row.name for row in db.session.execute(select(Source.id, Source.name))}
    show.print_table(
        ("ID", "RECEIVED", "SOURCE", "EVENT", "SENDER", "STATUS", "WHAT BECAME OF IT"),
        [
            (
                row.id,
                row.received_at,
                names.get(row.source_id),
                row.event,
                row.sender,
                queued.status(row),
                _fate(row),
            )
            for row in rows
        ],
        "There is no such event." if wanted != browse.InboundEvents() else "Nothing has come in yet.",
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
    show.print_part("Headers", facts["headers"])
    show.print_part(f"Verification: {verdict.sentence}", {step.name: step.value for step in verdict.steps})
    _print_payload(row)


@inbox.command()
@queued.ids_argument
@click.option("--failed", is_flag=True, help="All that failed.")
@click.option("--source", "source_id", metavar="ID", help="With --failed: only those of one source.")
@click.option(
    "--since",
    callback=show.moment,
    metavar="WHEN",
    help="With --failed: only those received since (2026-01-31, 6h, 2d).",
)
@queued.dry_run_option
@show.command
def reprocess(
    ids: tuple[str, ...], failed: bool, source_id: str | None, since: datetime | None, dry_run: bool
) -> None:
    """Make inbound events due again.

    The next pass works through them as their source is set by then. Give ids, or --failed.
    """
    queued.check(ids, failed, bool(source_id or since), WORDS)
    which = queued.among(InboundEvent, ids)
    if failed:
        owner_id = queued.owner_id(Source, source_id)
        which = browse.InboundEvents(status="failed", source_id=owner_id, since=since).condition()
    queued.do_again(InboundEvent, which, dry_run, WORDS)


def _fate(row: InboundEvent) -> str:
    return show.shorten(row.error or row.note or "", 60)


def _print_payload(row: InboundEvent) -> None:
    view = shown.payload(row)[0]
    click.echo(f"\nPayload ({view.kind}, {len(row.body):,} bytes)")
    for line in view.text.splitlines():
        click.echo(show.safe(line))
    if not view.is_whole:
        click.echo("… (all of it: --json)")

"""The inbox from the shell."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from sqlalchemy import select

from guestbook.background import cron
from guestbook.cli import cron as commands
from guestbook.cli import output, requeue, terminal_log
from guestbook.cli.help_sections import Group
from guestbook.cli.option_types import FiniteRange
from guestbook.inbound import evaluate, event_view
from guestbook.queries import listing
from guestbook.storage.database import db
from guestbook.storage.models import InboundEvent, Source

BYTES = ("headers", "payload", "encoding")  # a list does without them
WORDS = requeue.Words(
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
    type=FiniteRange(0.1, 86400),
    default=50,
    show_default=True,
    help="Start nothing new after so many seconds.",
)
@terminal_log.verbose_option("Tell what happens to each event.")
@output.command
def process(max_seconds: float) -> None:
    """Work through what came in, and nothing else. Silence means that all is well."""
    commands.run(cron.Options(max_seconds, outbox=False, housekeeping=False))


@inbox.command("list")
@requeue.status_option
@click.option("--source", metavar="ID", help="Only those of one source.")
@click.option("--event", help=f"{requeue.event_help} One such as issues is issues.opened too.")
@click.option("--sender", help="Only those with this, or a part of it, as their sender.")
@click.option("--external-id", help="Only those with this id of the sender's own.")
@requeue.since_option
@requeue.until_option
@requeue.text_option
@requeue.limit_option
@output.as_json
@output.command
def list_(source: str | None, limit: int, as_json: bool, **filters: Any) -> None:
    """List inbound events, newest first."""
    wanted = listing.InboundEvents(source_id=requeue.owner_id(Source, source), **requeue.cleaned(filters))
    rows = requeue.newest(listing.inbound_events, wanted, limit)
    if as_json:
        output.print_json([output.document(row, leave_out=BYTES) for row in rows])
        return
    names = {row.id: row.name for row in db.session.execute(select(Source.id, Source.name))}
    output.print_table(
        ("ID", "RECEIVED", "SOURCE", "EVENT", "SENDER", "STATUS", "WHAT BECAME OF IT"),
        [
            (
                row.id,
                row.received_at,
                names.get(row.source_id),
                row.event,
                row.sender,
                requeue.status(row),
                _fate(row),
            )
            for row in rows
        ],
        "There is no such event." if wanted != listing.InboundEvents() else "Nothing has come in yet.",
    )


@inbox.command("show")
@click.argument("id_", metavar="ID")
@output.as_json
@output.command
def show_(id_: str, as_json: bool) -> None:
    """Show one: what came, how it was verified, what became of it."""
    row = output.find(InboundEvent, id_)
    verdict = evaluate.verify(row, db.session.get_one(Source, row.source_id), output.settings().secret_key)
    facts = {**output.document(row), "headers": event_view.headers(row)}
    if as_json:
        output.print_json({**facts, "verification": asdict(verdict)})
        return
    output.print_fields({name: value for name, value in facts.items() if name not in BYTES})
    output.print_part("Headers", facts["headers"])
    output.print_part(f"Verification: {verdict.sentence}", {step.name: step.value for step in verdict.steps})
    _print_payload(row)


@inbox.command()
@requeue.ids_argument
@click.option("--failed", is_flag=True, help="All that failed.")
@click.option("--source", "source_id", metavar="ID", help="With --failed: only those of one source.")
@click.option(
    "--since",
    callback=output.moment,
    metavar="WHEN",
    help="With --failed: only those received since (2026-01-31, 6h, 2d).",
)
@requeue.dry_run_option
@output.command
def reprocess(
    ids: tuple[str, ...], failed: bool, source_id: str | None, since: datetime | None, dry_run: bool
) -> None:
    """Make inbound events due again.

    The next pass works through them as their source is set by then. Give ids, or --failed.
    """
    requeue.check(ids, failed, bool(source_id or since), WORDS)
    which = requeue.among(InboundEvent, ids)
    if failed:
        owner_id = requeue.owner_id(Source, source_id)
        which = listing.InboundEvents(status="failed", source_id=owner_id, since=since).condition()
    requeue.do_again(InboundEvent, which, dry_run, WORDS)


def _fate(row: InboundEvent) -> str:
    return output.shorten(row.error or row.note or "", 60)


def _print_payload(row: InboundEvent) -> None:
    view = event_view.payload(row)[0]
    click.echo(f"\nPayload ({view.kind}, {len(row.body):,} bytes)")
    for line in view.text.splitlines():
        click.echo(output.safe(line))
    if not view.is_whole:
        click.echo("… (all of it: --json)")

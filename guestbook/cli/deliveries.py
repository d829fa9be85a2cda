"""The deliveries from the shell."""

from datetime import datetime

import click
from sqlalchemy import ColumnElement, select

from guestbook import again, browse, clock
from guestbook.cli import show
from guestbook.database import db
from guestbook.models import Attempt, Delivery, Webhook
from guestbook.models.delivery import STATUSES


@click.group()
def deliveries() -> None:
    """See what was sent, what waits and what failed; send again."""


@deliveries.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only those.")
@click.option("--webhook", "webhook_id", metavar="ID", help="Only those of one webhook.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many.")
@show.as_json
@show.command
def list_(status: str | None, webhook_id: str | None, limit: int, as_json: bool) -> None:
    """List deliveries, newest first."""
    rows = _newest(browse.Deliveries(status=status, webhook_id=_webhook(webhook_id)), limit)
    if as_json:
        show.print_json([show.document(row, leave_out=("payload",)) for row in rows])
        return
    names = {row.id: row.name for row in db.session.execute(select(Webhook.id, Webhook.name))}
    show.print_table(
        ("ID", "EVENT", "WEBHOOK", "STATUS", "ATTEMPTS", "DUE", "LAST ANSWER"),
        [
            (row.id, row.event, names.get(row.webhook_id), row.status, row.attempts, row.due_at, _answer(row))
            for row in rows
        ],
        "No deliveries yet.",
    )


@deliveries.command("show")
@click.argument("id_", metavar="ID")
@show.as_json
@show.command
def show_(id_: str, as_json: bool) -> None:
    """Show one, with every attempt and answer."""
    row = show.find(Delivery, id_)
    query = select(Attempt).where(Attempt.delivery_id == row.id).order_by(Attempt.number)
    attempts = db.session.scalars(query).all()
    if as_json:
        show.print_json({**show.document(row), "attempts_made": [show.document(one) for one in attempts]})
        return
    show.print_fields(show.document(row))
    for attempt in attempts:
        click.echo(f"\nAttempt {attempt.number} ({attempt.triggered_by})")
        show.print_fields(
            {**show.document(attempt, leave_out=("delivery_id", "number", "triggered_by", "request_headers"))}
        )


@deliveries.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--failed", is_flag=True, help="All that were given up.")
@click.option("--webhook", "webhook_id", metavar="ID", help="With --failed: only those of one webhook.")
@click.option(
    "--since",
    callback=show.moment,
    metavar="WHEN",
    help="With --failed: only those made since (2026-01-31, 6h, 2d).",
)
@click.option("--dry-run", is_flag=True, help="Only say how many it would be.")
@show.command
def redeliver(
    ids: tuple[str, ...], failed: bool, webhook_id: str | None, since: datetime | None, dry_run: bool
) -> None:
    """Make deliveries due again.

    The next pass sends them, with the same id and payload. Give ids, or --failed.
    """
    if bool(ids) == failed:
        raise click.UsageError("Give ids, or --failed for all that were given up.")
    if not failed and (webhook_id or since):
        raise click.UsageError("--webhook and --since go with --failed.")
    if failed:
        wanted = browse.Deliveries(status="failed", webhook_id=_webhook(webhook_id), since=since)
        _redeliver(wanted.condition(), dry_run)
    else:
        _redeliver(Delivery.id.in_([show.find(Delivery, short_id).id for short_id in ids]), dry_run)


def _redeliver(which: ColumnElement[bool], dry_run: bool) -> None:
    parts = again.forecast(db.session(), Delivery, which, clock.now())
    if dry_run:
        click.echo(f"Would redeliver {_number(again.total(parts))}.")
    else:
        click.echo(f"Will redeliver {_number(again.run(Delivery, which))} with the next pass.")
    if in_hand := sum(part.in_hand for part in parts):
        click.echo(f"Left alone, because a pass is sending it now: {_number(in_hand)}.")
    for part in parts:
        if part.disabled and part.count:
            click.echo(
                f"The webhook {show.safe(part.name)} is disabled: what is for it waits until it is enabled."
            )


def _newest(wanted: browse.Deliveries, limit: int) -> list[Delivery]:
    """Return so many; a page may have looked far back and found few."""
    page = browse.deliveries(db.session(), wanted, limit=limit)
    rows = page.rows
    while page.older and len(rows) < limit:
        page = browse.deliveries(db.session(), wanted, page.older, limit - len(rows))
        rows += page.rows
    return rows


def _webhook(short_id: str | None) -> str | None:
    return None if short_id is None else show.find(Webhook, short_id).id


def _answer(row: Delivery) -> object:
    return row.last_error or row.last_status_code


def _number(count: int) -> str:
    return "1 delivery" if count == 1 else f"{count} deliveries"

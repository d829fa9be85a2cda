"""The deliveries from the shell."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import click
from sqlalchemy import Select, func, select

from guestbook import clock, outbox
from guestbook.cli import show
from guestbook.database import db, writing
from guestbook.models import Attempt, Delivery, Webhook
from guestbook.models.delivery import STATUSES

BITE = 500  # rows made due again in one transaction
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _moment(_context: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """Read `2026-01-31`, `2026-01-31T23:59:59Z`, or `90m`, `6h`, `2d` ago; in UTC unless it names a zone."""
    if value is None:
        return None
    try:
        if value[-1:] in UNITS and value[:-1].isascii() and value[:-1].isdigit():
            return clock.now() - timedelta(**{UNITS[value[-1]]: int(value[:-1][:9])})
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is no time such as 2026-01-31, 90m, 6h or 2d.") from None


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
    query = select(Delivery).order_by(Delivery.id.desc()).limit(limit)
    if status:
        query = query.where(Delivery.status == status)
    if webhook_id:
        query = query.where(Delivery.webhook_id == show.find(Webhook, webhook_id).id)
    rows = db.session.scalars(query).all()
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
    callback=_moment,
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
        _redeliver_failed(webhook_id, since, dry_run)
    else:
        _redeliver_ids(ids, dry_run)


def _redeliver_ids(ids: tuple[str, ...], dry_run: bool) -> None:
    with writing() as session:
        rows = list(dict.fromkeys(show.find(Delivery, short_id) for short_id in ids))
        free = [] if dry_run else outbox.redeliver(session, rows, clock.now())
    if dry_run:
        click.echo(f"Would redeliver {_number(len(rows))}.")
        return
    click.echo(f"Will redeliver {_number(len(free))} with the next pass.")
    if len(free) < len(rows):
        click.echo(f"Left alone, because a pass is sending it now: {_number(len(rows) - len(free))}.")
    _tell_who_must_be_enabled(row.webhook_id for row in free)


def _redeliver_failed(webhook_id: str | None, since: datetime | None, dry_run: bool) -> None:
    query = select(Delivery.id).where(Delivery.status == "failed")
    if webhook_id:
        query = query.where(Delivery.webhook_id == show.find(Webhook, webhook_id).id)
    if since:
        query = query.where(Delivery.created_at >= since)
    if dry_run:
        count = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
        click.echo(f"Would redeliver {_number(count)}.")
        return
    webhooks = db.session.scalars(query.with_only_columns(Delivery.webhook_id).distinct()).all()
    click.echo(f"Will redeliver {_number(_in_bites(query))} with the next pass.")
    _tell_who_must_be_enabled(webhooks)


def _tell_who_must_be_enabled(webhook_ids: Iterable[str]) -> None:
    query = select(Webhook.name).where(Webhook.id.in_(set(webhook_ids)), Webhook.disabled_at.is_not(None))
    for name in db.session.scalars(query):
        click.echo(f"The webhook {show.safe(name)} is disabled: what is for it waits until it is enabled.")


def _in_bites(query: Select[str]) -> int:
    """Redeliver what the query finds, some at a time, so that visitors can write in between."""
    count, last = 0, ""
    while True:
        with writing() as session:
            # By id: one that a pass gives up again meanwhile must not come round a second time.
            row_ids = session.scalars(query.where(Delivery.id > last).order_by(Delivery.id).limit(BITE)).all()
            rows = session.scalars(select(Delivery).where(Delivery.id.in_(row_ids))).all()
            count += len(outbox.redeliver(session, rows, clock.now()))
        if len(row_ids) < BITE:
            return count
        last = row_ids[-1]


def _answer(row: Delivery) -> object:
    return row.last_error or row.last_status_code


def _number(count: int) -> str:
    return "1 delivery" if count == 1 else f"{count} deliveries"

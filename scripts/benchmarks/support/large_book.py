"""A book with so many final rows of each kind from the last 29 days, and the same few that wait in each."""

from datetime import datetime, timedelta
from random import Random
from typing import Any, cast

import click
from sqlalchemy import Table, select

from guestbook.lib import clock, ids
from guestbook.queries import stats
from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import ATTEMPTS, DELIVERIES, INBOUND, PASSES, Comment, Source, Webhook
from scripts.benchmarks.support import bulk_insert, busy_month, temp_book

LASTS = busy_month.LASTS - timedelta(days=1)  # retention finds only what `add_old` adds
CHUNK = 20_000  # final rows of each kind in one transaction
DUE, LATER = 1_000, 200  # deliveries that may be sent now, and that wait for a retry
OLD = 499  # that retention takes in one bite, which then knows that there are no more
FAILED = 16  # one of so many
COMMENTS = cast(Table, Comment.__table__)

Row = dict[str, Any]


def fill(count: int, settings: Settings) -> None:
    """Fill the empty book around us: for each comment a delivery, its attempt and an inbound event."""
    temp_book.add_webhooks([9] * busy_month.WEBHOOKS)
    source, webhooks, luck = _add_source(), _webhooks(), Random(1)
    start = clock.now() - LASTS
    with bulk_insert.filling(db.engine) as filler:
        for first in range(0, count, CHUNK):
            numbers = range(first, min(first + CHUNK, count))
            made = [
                _final(start + LASTS * (number / count), number, webhooks, source, luck) for number in numbers
            ]
            comments, sent, attempts, came = (list(rows) for rows in zip(*made, strict=True))
            filler.store((COMMENTS, comments), (DELIVERIES, sent), (ATTEMPTS, attempts), (INBOUND, came))
            _tell(numbers.stop, count)
        filler.store((DELIVERIES, [_waiting(number, webhooks, luck) for number in range(DUE + LATER)]))
        filler.tidy()
    busy_month.store("passes", PASSES, busy_month.passes(start, luck))
    stats.settle(db.engine, settings, clock.now())  # as each pass does


def add_old() -> None:
    """Add what retention takes next: one bite of processed deliveries with their attempts."""
    webhooks, luck, moment = _webhooks(), Random(), clock.now() - 2 * busy_month.LASTS
    start, text = ids.first_of(moment), clock.to_text(moment)
    made = [_delivery(_id(start, luck), webhooks[0], None, text) for _ in range(OLD)]
    with bulk_insert.filling(db.engine, quick=False) as filler:
        filler.store((DELIVERIES, made), (ATTEMPTS, [_attempt(row) for row in made]))


def _add_source() -> str:
    with database.writing() as session:
        source = Source(name="Ada's roof", token="roof", verify="token", secret="a secret", action="log")
        session.add(source)
        session.flush()
        return source.id


def _webhooks() -> list[str]:
    with db.engine.connect() as connection:
        return list(connection.scalars(select(Webhook.id).order_by(Webhook.id)))


def _final(
    moment: datetime, number: int, webhooks: list[str], source: str, luck: Random
) -> tuple[Row, Row, Row, Row]:
    """Return a comment, its delivery, the attempt, and an inbound event of the same moment."""
    start, made = ids.first_of(moment), clock.to_text(moment)
    comment = _comment(_id(start, luck), number, made)
    webhook = webhooks[number % len(webhooks)]
    failed = number % FAILED == 0
    delivery = _delivery(_id(start, luck), webhook, comment["id"], made, failed=failed)
    return comment, delivery, _attempt(delivery), _event(_id(start, luck), source, made, failed=failed)


def _comment(comment_id: str, number: int, made: str) -> Row:
    return {
        "id": comment_id,
        "name": f"Visitor {number}",
        "message": "Thank you for the lovely weekend by the lake.",
        "status": "published",
        "created_at": made,
    }


def _delivery(delivery_id: str, webhook: str, comment: str | None, made: str, *, failed: bool = False) -> Row:
    return {
        "id": delivery_id,
        "event_id": comment or delivery_id,
        "webhook_id": webhook,
        "comment_id": comment,
        "event": "comment.created",
        "payload": '{"type": "comment.created"}',
        "status": "failed" if failed else "processed",
        "attempts": 1,
        "claims": 1,
        "schedule_start": 0,
        "due_at": None,
        "created_at": made,
        "finished_at": made,
        "last_status_code": 500 if failed else 200,
        "last_error": "The receiver answered 500." if failed else None,
    }


def _attempt(delivery: Row) -> Row:
    return {
        "delivery_id": delivery["id"],
        "number": 1,
        "triggered_by": "schedule",
        "started_at": delivery["finished_at"],
        "milliseconds": 120,
        "status_code": delivery["last_status_code"],
        "error": delivery["last_error"],
        "request_headers": "{}",
    }


def _event(event_id: str, source: str, came: str, *, failed: bool) -> Row:
    return {
        "id": event_id,
        "source_id": source,
        "external_id": event_id,
        "event": "push",
        "sender": "ada",
        "headers": "{}",
        "payload": "{}",
        "encoding": "text",
        "status": "failed" if failed else "processed",
        "attempts": 1,
        "claims": 1,
        "error": "The template failed." if failed else None,
        "received_at": came,
        "processed_at": came,
    }


def _waiting(number: int, webhooks: list[str], luck: Random) -> Row:
    """Return a delivery of just now that was not tried, or that waits some hours for its retry."""
    now = clock.now()
    tried = number >= DUE
    webhook = webhooks[number % len(webhooks)]
    made = _delivery(_id(ids.first_of(now), luck), webhook, None, clock.to_text(now), failed=True)
    due_at = now + timedelta(hours=1 + number % 10) if tried else now
    waits = {"status": "new", "due_at": clock.to_text(due_at), "finished_at": None}
    return made | waits | ({} if tried else {"attempts": 0, "last_status_code": None, "last_error": None})


def _id(start: str, luck: Random) -> str:
    """Return an id as `ids.new` makes them; `start` is the first of that moment."""
    return f"{start[:12]}7{luck.getrandbits(12):03x}{luck.getrandbits(62) | 1 << 63:016x}"


def _tell(done: int, count: int) -> None:
    if done % (50 * CHUNK) == 0 or done == count:
        click.echo(f"stored {done:,} of {count:,} …", err=True)

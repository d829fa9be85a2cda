"""A book with so many final rows of each kind from the last 29 days, and the same few that wait in each."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

import click
from sqlalchemy import Engine, Table, insert, select, text

from guestbook.lib import clock, ids
from guestbook.queries import statistics
from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import ATTEMPTS, DELIVERIES, INBOUND, Comment, Webhook
from scripts.benchmarks.support import temp_book
from tests.support import factories

TIDY = {
    "sqlite": "PRAGMA wal_checkpoint(TRUNCATE)",
    "postgresql": "VACUUM ANALYZE",
    "mysql": "ANALYZE TABLE comments, deliveries, attempts, inbound_events",
}
TABLE_SIZES = "SELECT SUM(data_length + index_length) FROM information_schema.tables"
SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
    "mysql": f"{TABLE_SIZES} WHERE table_schema = DATABASE()",
}
for statements in (TIDY, SIZE):
    statements["mariadb"] = statements["mysql"]


def megabytes(engine: Engine) -> float:
    """Return the size of tables and indexes."""
    with engine.connect() as connection:
        return int(connection.scalar(text(SIZE[engine.dialect.name])) or 0) / 1e6


LASTS = timedelta(days=29)  # retention finds only what `add_old` adds
WEBHOOKS = 10
CHUNK = 20_000  # final rows of each kind in one transaction
DUE, LATER = 1_000, 200  # deliveries that may be sent now, and that wait for a retry
OLD = 499  # deliveries that retention takes in one batch and then knows that there are no more
FAILED = 16  # one of so many
RARE, RARE_EVERY = "marmalade", 997  # a word in one comment of so many, for a search
SITE, ON_A_PAGE = "https://garden.example", 100  # comments of each page of that website
STATUSES = ("published",) * 93 + ("held",) * 2 + ("spam",) * 4 + ("trash",)
SHORT = "Thank you for the lovely weekend by the lake."
PAYLOAD = f'{{"type": "comment.created", "message": "{SHORT}"}}'
COMMENTS = Comment.__table__

Row = dict[str, Any]


def fill(count: int, settings: Settings) -> None:
    """Fill the empty book around us: for each comment a delivery, its attempt and an inbound event."""
    webhooks, source = temp_book.add_webhooks([9] * WEBHOOKS), factories.source()
    luck, start = Random(1), clock.now() - LASTS
    for first in range(0, count, CHUNK):
        numbers = range(first, min(first + CHUNK, count))
        comments, deliveries, events = [], [], []
        for number in numbers:
            moment, failed = start + LASTS * (number / count), number % FAILED == 0
            about = f"{SITE}/{number % max(1, count // ON_A_PAGE)}"
            comments.append(_comment(moment, number, luck) | {"page": about})
            row = _delivery(moment, luck, webhooks[number % WEBHOOKS], failed=failed)
            deliveries.append(row | {"comment_id": comments[-1]["id"], "sequence": 1})
            events.append(_inbound(moment, luck, source, failed))
        attempts = [_attempt(row) for row in deliveries]
        _store((COMMENTS, comments), (DELIVERIES, deliveries), (ATTEMPTS, attempts), (INBOUND, events))
        click.echo(f"stored {numbers.stop:,} of {count:,} …", err=True)
    _store((DELIVERIES, [_waiting(number, webhooks, luck) for number in range(DUE + LATER)]))
    # The work that the database does by itself when so many rows come over weeks.
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(TIDY[db.engine.dialect.name]))
    statistics.record_days(db.engine, settings.keep_processed_days, clock.now())  # as each pass does


def add_old() -> None:
    """Add the rows that retention takes next: one batch of processed deliveries with their attempts."""
    luck, moment = Random(), clock.now() - 2 * LASTS
    webhook = db.session.scalars(select(Webhook.id).limit(1)).one()
    made = [_delivery(moment, luck, webhook) for _ in range(OLD)]
    _store((DELIVERIES, made), (ATTEMPTS, [_attempt(row) for row in made]))


def _store(*batches: tuple[Table, list[Row]]) -> None:
    """Store rows of tables in one transaction."""
    with database.write(db.engine) as connection:
        for table, rows in batches:
            connection.execute(insert(table), rows)


def _comment(moment: datetime, number: int, luck: Random) -> Row:
    words = f"{SHORT} {RARE}" if number % RARE_EVERY == RARE_EVERY // 2 else SHORT
    row = {"id": _id(moment, luck), "name": f"Visitor {number}", "message": words, "created_at": moment}
    return row | {"status": STATUSES[number % len(STATUSES)], "last_sequence": 1}


def _delivery(moment: datetime, luck: Random, webhook: str, *, failed: bool = False) -> Row:
    row: Row = {"id": (new_id := _id(moment, luck)), "event_id": new_id, "webhook_id": webhook}
    row |= {"finished_at": moment, "created_at": moment, "event": "comment.created", "payload": PAYLOAD}
    row |= {"status": "failed" if failed else "processed", "last_status_code": 500 if failed else 200}
    error = "The receiver answered 500." if failed else None
    return row | {"attempts": 1, "claims": 1, "schedule_start": 0, "last_error": error}


def _attempt(delivery: Row) -> Row:
    row = {"delivery_id": delivery["id"], "number": 1, "triggered_by": "schedule", "milliseconds": 120}
    row |= {"started_at": delivery["finished_at"], "status_code": delivery["last_status_code"]}
    return row | {"error": delivery["last_error"], "request_headers": {}}


def _inbound(moment: datetime, luck: Random, source: str, failed: bool) -> Row:
    new_id = _id(moment, luck)
    row: Row = {"id": new_id, "source_id": source, "external_id": new_id, "event": "push", "sender": "ada"}
    row |= {"headers": {}, "payload": "{}", "encoding": "text", "received_at": moment, "processed_at": moment}
    row |= {"status": "failed" if failed else "processed", "attempts": 1, "claims": 1}
    return row | {"error": "The template failed." if failed else None}


def _waiting(number: int, webhooks: list[str], luck: Random) -> Row:
    """Return a delivery of just now that was not tried, or that waits some hours for its retry."""
    now = clock.now()
    row = _delivery(now, luck, webhooks[number % WEBHOOKS], failed=True)
    row |= {"status": "new", "due_at": now, "finished_at": None}
    if number < DUE:
        return row | {"attempts": 0, "last_status_code": None, "last_error": None}
    return row | {"due_at": now + timedelta(hours=1 + number % 10)}


def _id(moment: datetime, luck: Random) -> str:
    """Return an id as `ids.new` makes them at that moment."""
    return f"{ids.first_of(moment)[:12]}7{luck.getrandbits(12):03x}{luck.getrandbits(62) | 1 << 63:016x}"

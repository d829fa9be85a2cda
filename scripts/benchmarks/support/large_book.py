"""A book with so many final rows of each kind from the last 29 days, and the same few that wait in each."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import click
from sqlalchemy import Engine, Table, insert, select, text

from guestbook.lib import clock, ids
from guestbook.queries import statistics
from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import ATTEMPTS, DELIVERIES, INBOUND, Comment, Pass, Source, Webhook
from scripts.benchmarks.support import temp_book

TIDY = {
    "sqlite": "PRAGMA wal_checkpoint(TRUNCATE)",
    "postgresql": "VACUUM ANALYZE",
    "mysql": "ANALYZE TABLE comments, deliveries, attempts, inbound_events",
}
SIZE = {
    "postgresql": "SELECT pg_database_size(current_database())",
    "mysql": "SELECT SUM(data_length + index_length) FROM information_schema.tables"
    " WHERE table_schema = DATABASE()",
}


def tidy(engine: Engine) -> None:
    """Do the work that the database does by itself when so many rows come over weeks."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(TIDY[_kind(engine)]))


def megabytes(engine: Engine) -> float:
    """Return the size of tables and indexes; of SQLite the size of its files."""
    if engine.dialect.name == "sqlite":
        path = Path(str(engine.url.database))
        return sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*")) / 1e6
    with engine.connect() as connection:
        return int(connection.scalar(text(SIZE[_kind(engine)])) or 0) / 1e6


def _kind(engine: Engine) -> str:
    return {"mariadb": "mysql"}.get(engine.dialect.name, engine.dialect.name)


LASTS = timedelta(days=29)  # retention finds only what `add_old` adds
WEBHOOKS = 10
CHUNK = 20_000  # final rows of each kind in one transaction
PASSES_MADE = 43_000  # at the most: one a minute
DUE, LATER = 1_000, 200  # deliveries that may be sent now, and that wait for a retry
OLD = 499  # deliveries that retention takes in one batch and then knows that there are no more
FAILED = 16  # one of so many
RARE, RARE_EVERY = "marmalade", 997  # a word in one comment of so many, for a search
STATUSES = ("published",) * 93 + ("held",) * 2 + ("spam",) * 4 + ("trash",)
EVENTS = ("comment.created",) * 9 + ("comment.deleted",)
SHORT = "Thank you for the lovely weekend by the lake."
COMMENTS = Comment.__table__

Row = dict[str, Any]


class Parents(NamedTuple):
    """The webhooks and the source of the rows."""

    webhooks: list[str]
    source: str


def fill(count: int, settings: Settings, message: str = SHORT) -> None:
    """Fill the empty book around us: for each comment a delivery, its attempt and an inbound event."""
    temp_book.add_webhooks([9] * WEBHOOKS)
    parents, luck, start = _parents(), Random(1), clock.now() - LASTS
    for first in range(0, count, CHUNK):
        numbers = range(first, min(first + CHUNK, count))
        made = [
            _final(start + LASTS * (number / count), number, message, parents, luck) for number in numbers
        ]
        comments, deliveries, attempts, events = (list(rows) for rows in zip(*made, strict=True))
        _store((COMMENTS, comments), (DELIVERIES, deliveries), (ATTEMPTS, attempts), (INBOUND, events))
        click.echo(f"stored {numbers.stop:,} of {count:,} …", err=True)
    _store((DELIVERIES, [_waiting(number, parents, luck) for number in range(DUE + LATER)]))
    _store((Pass.__table__, list(_passes(min(count, PASSES_MADE), start, luck))))
    tidy(db.engine)
    statistics.record_days(db.engine, settings.keep_processed_days, clock.now())  # as each pass does


def add_old() -> None:
    """Add the rows that retention takes next: one batch of processed deliveries with their attempts."""
    webhooks, luck, moment = _parents().webhooks, Random(), clock.now() - 2 * LASTS
    made = [_delivery(moment, luck, webhooks[0]) for _ in range(OLD)]
    _store((DELIVERIES, made), (ATTEMPTS, [_attempt(row) for row in made]))


def _store(*batches: tuple[Table, list[Row]]) -> None:
    """Store rows of tables in one transaction."""
    with database.write(db.engine) as connection:
        for table, rows in batches:
            connection.execute(insert(table), rows)


def _parents() -> Parents:
    """Return the webhooks and the source, which is added if there is none."""
    with database.writing() as session:
        source = session.scalars(select(Source.id)).first()
        if source is None:
            row = Source(name="Ada's roof", token="roof", verify="token", secret="a secret", action="log")
            session.add(row)
            session.flush()
            source = row.id
        return Parents(list(session.scalars(select(Webhook.id).order_by(Webhook.id))), source)


def _final(
    moment: datetime, number: int, message: str, parents: Parents, luck: Random
) -> tuple[Row, Row, Row, Row]:
    """Return a comment, its delivery, the attempt, and an inbound event of the same moment."""
    failed = number % FAILED == 0
    text = f"{message} {RARE}" if number % RARE_EVERY == RARE_EVERY // 2 else message
    comment = {"id": _id(moment, luck), "name": f"Visitor {number}", "message": text, "created_at": moment}
    comment["status"] = STATUSES[number % len(STATUSES)]
    event = EVENTS[number // WEBHOOKS % len(EVENTS)]
    payload = f'{{"type": "{event}", "message": "{text}"}}'
    delivery = _delivery(moment, luck, parents.webhooks[number % WEBHOOKS], failed=failed)
    delivery |= {"comment_id": comment["id"], "event": event, "event_id": comment["id"], "payload": payload}
    comment["last_sequence"] = delivery["sequence"] = 1
    return comment, delivery, _attempt(delivery), _inbound(moment, luck, parents.source, failed)


def _delivery(moment: datetime, luck: Random, webhook: str, *, failed: bool = False) -> Row:
    new_id = _id(moment, luck)
    row: Row = {
        "id": new_id,
        "event_id": new_id,
        "webhook_id": webhook,
        "comment_id": None,
        "sequence": None,
        "created_at": moment,
    }
    row |= {"event": "comment.created", "payload": '{"type": "comment.created"}', "due_at": None}
    row |= {"status": "failed" if failed else "processed", "finished_at": moment}
    row |= {"attempts": 1, "claims": 1, "schedule_start": 0, "last_status_code": 500 if failed else 200}
    return row | {"last_error": "The receiver answered 500." if failed else None}


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


def _waiting(number: int, parents: Parents, luck: Random) -> Row:
    """Return a delivery of just now that was not tried, or that waits some hours for its retry."""
    now = clock.now()
    row = _delivery(now, luck, parents.webhooks[number % WEBHOOKS], failed=True)
    row |= {"status": "new", "due_at": now, "finished_at": None}
    if number < DUE:
        return row | {"attempts": 0, "last_status_code": None, "last_error": None}
    return row | {"due_at": now + timedelta(hours=1 + number % 10)}


def _passes(count: int, start: datetime, luck: Random) -> Iterator[Row]:
    """Give so many passes, from that moment on."""
    for number in range(count):
        moment = start + LASTS * (number / count)
        row = {"id": _id(moment, luck), "started_at": moment, "finished_at": moment, "host": "bench"}
        yield row | {"processed": luck.randint(0, 40), "retried": luck.randint(0, 2), "failed": 0}


def _id(moment: datetime, luck: Random) -> str:
    """Return an id as `ids.new` makes them at that moment."""
    return f"{ids.first_of(moment)[:12]}7{luck.getrandbits(12):03x}{luck.getrandbits(62) | 1 << 63:016x}"

"""What the order of a comment's events costs a claim: with rows that follow none, some, and that wait."""

import statistics
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import click
from sqlalchemy import insert

from guestbook.lib import clock, ids
from guestbook.outbound import tasks
from guestbook.queue.ordered_claims import OrderedClaims
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, Comment, Webhook
from scripts.benchmarks.support import database_size, report, temp_book

COMMENTS = 1_000  # of each webhook
IN_HAND = 200  # comments whose first delivery a pass has leased, where others wait behind them
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
WARM_UPS = 3
KINDS = (
    "about no comment",
    "first about their comment",
    "one in ten follows a delivered one",
    "all follow delivered ones",
    "two of each comment wait",
    f"{IN_HAND} behind leased ones come first",
)


@click.command()
@click.option("--rows", default=100, show_default=True, help="Rows of a claim.")
@click.option("--times", default=60, show_default=True, help="Claims of each kind.")
@temp_book.server_option
def claims(rows: int, times: int, server: str | None) -> None:
    """Claim and lease due deliveries of several kinds in turn, and roll back."""
    with temp_book.fresh(server):
        webhooks = [_webhook(kind) for kind in KINDS]
        database_size.tidy(db.engine)
        report.heading(db.engine, {"each": f"{rows} rows, median of {times}, the kinds in turn"})
        ours = [OrderedClaims(DELIVERIES, "webhook_id", tasks.TASK_COLUMNS) for _ in KINDS]
        rounds = [
            [_claim(mine, webhook, rows) for mine, webhook in zip(ours, webhooks, strict=True)]
            for _ in range(WARM_UPS + times)
        ]
        finds, alls = (
            [statistics.median(one[kind][part] for one in rounds[WARM_UPS:]) for kind in range(len(KINDS))]
            for part in (0, 1)
        )
    lines: list[list[report.Cell]] = [
        [kind, find, report.ratio(find, finds[0]), both, report.ratio(both, alls[0])]
        for kind, find, both in zip(KINDS, finds, alls, strict=True)
    ]
    report.table(["rows", "claim ms", "", "with lease ms", ""], lines)


def _claim(ours: OrderedClaims, webhook_id: str, limit: int) -> tuple[float, float]:
    """Return how many milliseconds the claim took, and how many with the lease."""
    now = clock.now()
    writer = db.engine.connect().execution_options(write_until=0.0, commit_wait=0.0)
    with writer as connection, connection.begin() as transaction:
        start = time.perf_counter()
        found = {webhook_id: ours.find(connection, webhook_id, now=now, limit=limit)}
        middle = time.perf_counter()
        taken = ours.lease(connection, found, now=now, until=now + MINUTE, token="bench")
        end = time.perf_counter()
        assert taken[webhook_id], webhook_id
        transaction.rollback()
    return (middle - start) * 1000, (end - start) * 1000


def _webhook(kind: str) -> str:
    """Add a webhook with due deliveries of that kind, and return its id."""
    now = clock.now() - HOUR
    with database.writing() as session:
        hook = Webhook(name=kind, url="http://127.0.0.1:9/", events="comment.created", headers={})
        session.add(hook)
        session.flush()
        webhook_id = hook.id
    comments = [ids.new() for _ in range(COMMENTS)]
    rows = [
        _row(webhook_id, comment_id if sequence else None, sequence, due_at, now)
        for number, comment_id in enumerate(comments)
        for sequence, due_at in _sequences(KINDS.index(kind), number, now)
    ]
    written = {"name": "Ada", "message": temp_book.MESSAGE, "status": "published", "created_at": now}
    with database.write(db.engine) as connection:
        connection.execute(
            insert(Comment.__table__), [{"id": one, "last_sequence": 2, **written} for one in comments]
        )
        connection.execute(insert(DELIVERIES), rows)
    return webhook_id


def _sequences(kind: int, number: int, now: datetime) -> Iterable[tuple[int | None, datetime | None]]:
    """Return the deliveries about a comment: their sequence and when they are due."""
    delivered, first, second = (1, None), (1, now), (2, now)
    return (
        [(None, now)],
        [first],
        [first] if number % 10 else [delivered, second],
        [delivered, second],
        [first, second],
        [(1, clock.now() + HOUR) if number < IN_HAND else delivered, second],
    )[kind]


def _row(
    webhook_id: str, comment_id: str | None, sequence: int | None, due_at: datetime | None, now: datetime
) -> dict[str, Any]:
    new_id, done = ids.new(), int(due_at is None)
    row: dict[str, Any] = {
        "id": new_id,
        "event_id": new_id,
        "webhook_id": webhook_id,
        "event": "comment.created",
    }
    row |= {"comment_id": comment_id, "sequence": sequence, "payload": f'{{"x": "{temp_book.MESSAGE}"}}'}
    row |= {"status": "processed" if done else "new", "due_at": due_at, "finished_at": now if done else None}
    return row | {"attempts": done, "claims": done, "schedule_start": 0, "created_at": now}

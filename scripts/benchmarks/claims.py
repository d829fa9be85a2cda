"""What the order of a comment's events costs a claim: with rows that follow none, some, and that wait.

Each claim is made twice: once as a pass makes it, and once on the same rows without a look at their order.
"""

import statistics
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import click
from sqlalchemy import insert

from guestbook.lib import clock, ids
from guestbook.outbound import delivery_tasks
from guestbook.queue.claims import OrderedClaims
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


class RowWithoutOrder(NamedTuple):
    """A row of the queue that says nothing of what it follows."""

    id: str
    sequence: None = None


@click.command()
@click.option("--rows", default=100, show_default=True, help="Rows of a claim.")
@click.option("--times", default=60, show_default=True, help="Claims of each kind.")
@temp_book.server_option
def claims(rows: int, times: int, server: str | None) -> None:
    """Claim and lease due deliveries of several kinds in turn, and roll back."""
    with temp_book.fresh(server):
        webhooks = [_webhook(kind) for kind in KINDS]
        database_size.tidy(db.engine)
        report.heading(db.engine, {"each": f"{rows} rows, median of {times}, in turn"})
        passes = [OrderedClaims(DELIVERIES, "webhook_id", delivery_tasks.TASK_COLUMNS) for _ in KINDS]
        rounds = [
            [_both(mine, webhook, rows, turn) for mine, webhook in zip(passes, webhooks, strict=True)]
            for turn in range(WARM_UPS + times)
        ]
        lines = [_line(kind, [one[number] for one in rounds[WARM_UPS:]]) for number, kind in enumerate(KINDS)]
    report.table(["rows", "claim ms", "ratio", "with lease ms", "ratio"], lines)
    click.echo("Each ratio is to the same claim without a look at the order.")


Times = tuple[float, float]  # milliseconds of a claim, and with the lease


def _line(kind: str, pairs: list[tuple[Times, Times]]) -> list[report.Cell]:
    medians = [[statistics.median(pair[way][part] for pair in pairs) for way in (0, 1)] for part in (0, 1)]
    cells: list[report.Cell] = [kind]
    for ordered, plain in medians:
        cells += [ordered, report.ratio(ordered, plain)]
    return cells


def _both(ours: OrderedClaims, webhook_id: str, limit: int, turn: int) -> tuple[Times, Times]:
    """Return the times of a claim as a pass makes it, and of one without order; each is first in turn."""
    plain = OrderedClaims(DELIVERIES, "webhook_id", delivery_tasks.TASK_COLUMNS)  # it has met no waiting rows
    ways = [(ours, True), (plain, False)]
    times = [_claim(one, webhook_id, limit, in_order) for one, in_order in ways[:: -1 if turn % 2 else 1]]
    ordered, unordered = times[:: -1 if turn % 2 else 1]
    return ordered, unordered


def _claim(claims: OrderedClaims, webhook_id: str, limit: int, in_order: bool) -> Times:
    now = clock.now()
    writer = db.engine.connect().execution_options(write_until=0.0, commit_wait=0.0)
    with writer as connection, connection.begin() as transaction:
        start = time.perf_counter()
        found = claims.find(connection, webhook_id, now=now, limit=limit)
        found_in = time.perf_counter() - start
        rows: Any = found if in_order else [RowWithoutOrder(row.id) for row in found]
        start = time.perf_counter()
        terms: dict[str, Any] = {"now": now, "until": now + MINUTE, "token": "bench"}
        taken = claims.lease(connection, {webhook_id: rows}, **terms)
        leased_in = time.perf_counter() - start
        assert taken[webhook_id], webhook_id
        transaction.rollback()
    return found_in * 1000, (found_in + leased_in) * 1000


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

"""How long a claim takes as the table of final deliveries grows."""

import statistics
import time

import click
from sqlalchemy import insert

from guestbook import clock, database, ids, queue
from guestbook.database import db
from guestbook.models import DELIVERIES
from scripts.benchmarks import books

CHUNK = 10_000


@click.command()
@click.option("--final", default=1_000_000, show_default=True, help="Processed deliveries in the table.")
@click.option("--rows", default=100, show_default=True, help="Due deliveries that one claim takes.")
@click.option("--database", "server", help="URL of a server to use instead of SQLite.")
def claim(final: int, rows: int, server: str | None) -> None:
    """Claim some of 1,000 due deliveries in an empty table and in one with many processed rows."""
    with books.fresh(server) as app:
        books.add_webhooks([9])
        books.fill(app, 1000)
        _measure(rows, 0)
        _add_final(final)
        _measure(rows, final)


def _measure(rows: int, final: int) -> None:
    times = []
    for _ in range(30):
        now, start = clock.now(), time.perf_counter()
        with (
            db.engine.connect().execution_options(writes=True) as connection,
            connection.begin() as transaction,
        ):
            among = DELIVERIES.c.webhook_id == connection.scalar(db.select(DELIVERIES.c.webhook_id).limit(1))
            claimed = time.perf_counter()
            due = queue.claim(connection, DELIVERIES, among, now=now, limit=rows)
            row_ids = [row.id for row in due]
            queue.lease(connection, DELIVERIES, row_ids, now=now, until=now, token="bench")
            times.append((time.perf_counter() - claimed) * 1000)
            assert len(row_ids) == rows, start
            transaction.rollback()
    click.echo(
        f"{final:>10,} processed rows: claim of {rows} in {statistics.median(times):.2f} ms (median of 30)"
    )


def _add_final(count: int) -> None:
    with db.engine.connect() as connection:
        webhook_id = connection.scalar(db.select(DELIVERIES.c.webhook_id).limit(1))
    now = clock.now()
    final = {
        "event_id": "0" * 32,
        "webhook_id": webhook_id,
        "event": "comment.created",
        "payload": "{}",
        "status": "processed",
        "attempts": 1,
        "claims": 1,
        "schedule_start": 0,
        "created_at": now,
        "finished_at": now,
        "last_status_code": 200,
    }
    for start in range(0, count, CHUNK):
        with database.write(db.engine) as connection:
            size = min(CHUNK, count - start)
            connection.execute(insert(DELIVERIES), [{"id": ids.new(), **final} for _ in range(size)])

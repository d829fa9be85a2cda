"""How long `upgrade` takes for a large book of the baseline: its backup, and each migration."""

import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection, Engine, text

from guestbook import settings as all_settings
from guestbook.lib import clock, ids
from guestbook.storage import database, engine_setup
from guestbook.storage import upgrade as storage_upgrade
from scripts.benchmarks.support import database_size, report, temp_book

BASELINE = Path(__file__).parents[2] / "tests" / "storage" / "schemas" / "0024.sql"
ROWS_AT_ONCE = 10_000
PAYLOAD = f'{{"type": "comment.created", "data": {{"comment": {{"message": "{temp_book.MESSAGE}"}}}}}}'

Values = dict[str, Any]


@click.command()
@click.option("--comments", default=100_000, type=click.IntRange(1), show_default=True, help="In the book.")
@click.option(
    "--deliveries", default=1_000_000, type=click.IntRange(0), show_default=True, help="In it, too."
)
@temp_book.server_option
def upgrade(comments: int, deliveries: int, server: str | None) -> None:
    """Upgrade a large book of the baseline and print the seconds of each step."""
    with tempfile.TemporaryDirectory() as folder, temp_book.new_database(server, Path(folder)) as url:
        read = all_settings.load({"GUESTBOOK_DATA_DIR": folder, "GUESTBOOK_DATABASE_URL": url}, alone=True)
        with engine_setup.opened(read) as engine:
            _fill(engine, comments, deliveries)
            report.heading(engine, {"book": f"{comments:,} comments, {deliveries:,} deliveries"})
            megabytes = database_size.megabytes(engine)
            done = storage_upgrade.run(
                read, progress=lambda *_: nullcontext(lambda _: None), waiting=lambda: None
            )
        assert done.backup
        steps = {f"backup of {megabytes:,.0f} MB": done.backup_seconds}
        steps |= {f"{one.version} {one.title}": one.seconds for one in done.migrations}
        report.table(["step", "seconds"], [*steps.items(), ("all", sum(steps.values()))])


def _fill(engine: Engine, comments: int, deliveries: int) -> None:
    with database.write(engine) as connection:
        for statement in database.statements(BASELINE.read_text()):
            connection.exec_driver_sql(statement)
        _insert(connection, "webhooks", [_webhook()])
    made: list[str] = []
    for start in range(0, comments, ROWS_AT_ONCE):
        rows = [_comment() for _ in range(min(ROWS_AT_ONCE, comments - start))]
        made += [row["id"] for row in rows]
        with database.write(engine) as connection:
            _insert(connection, "comments", rows)
    for numbers in _portions(deliveries):
        with database.write(engine) as connection:
            _insert(connection, "deliveries", [_delivery(made[number % comments]) for number in numbers])
        click.echo(f"stored {numbers.stop:,} of {deliveries:,} deliveries …", err=True)
    database_size.tidy(engine)


def _portions(count: int) -> Iterator[range]:
    for start in range(0, count, ROWS_AT_ONCE):
        yield range(start, min(start + ROWS_AT_ONCE, count))


def _insert(connection: Connection, table: str, rows: list[Values]) -> None:
    places = ", ".join(f":{name}" for name in rows[0])
    connection.execute(text(f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES ({places})"), rows)


def _webhook() -> Values:
    row = {"id": "w" * 32, "name": "sink", "url": "http://127.0.0.1:9/", "format": "json", "events": "ping"}
    row |= {"headers": "{}", "secret": "whsec_1", "created_at": clock.to_text(clock.now())}
    return {**row, "failures_in_a_row": 0, "unreachable_in_a_row": 0}


def _comment() -> Values:
    now = clock.to_text(clock.now())
    return {"id": ids.new(), "name": "Ada", "message": temp_book.MESSAGE, "status": "held", "created_at": now}


def _delivery(comment_id: str) -> Values:
    now, new_id = clock.to_text(clock.now()), ids.new()
    row = {"id": new_id, "event_id": new_id, "webhook_id": "w" * 32, "comment_id": comment_id}
    row |= {"event": "comment.created", "payload": PAYLOAD, "status": "processed", "created_at": now}
    return {**row, "attempts": 1, "claims": 1, "schedule_start": 0, "finished_at": now}

"""When many deliveries have come at once, PostgreSQL reads only the rows of a claim, whatever it believes.

Its statistics may then be missing, or from before, so that it believes that hardly anything waits.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

import guestbook
from guestbook.lib import clock
from guestbook.outbound import delivery_tasks
from guestbook.queue import claims
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES
from tests.conftest import need, settings_for
from tests.support import databases, factories, query_plans

ROWS = 10_000
IDS = [f"{number:032d}" for number in range(1, 101)]  # of rows that wait
FILL = (
    "INSERT INTO deliveries (id, event_id, webhook_id, event, payload, status, due_at, attempts, claims,"
    " schedule_start, created_at, finished_at) SELECT lpad(i::text, 32, '0'), 'e', %(hook)s, 'ping',"
    " repeat('x', 500), %(status)s, %(due_at)s, 0, 1, 0, %(now)s, %(finished_at)s"
    " FROM generate_series({}) AS n(i)"
)
Step = Callable[[Connection, str], object]


@pytest.fixture(scope="module", params=["none", "of an idle queue", "of the burst"])
def hook(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A webhook with a burst of deliveries, under such statistics."""
    need("postgresql")
    folder: Path = tmp_path_factory.mktemp("burst")
    with databases.fresh("postgresql", folder) as url:
        app = guestbook.create_app(settings_for(folder, url))
        with app.app_context():
            database.create_tables(db.engine)
            webhook_id, now = factories.webhook(), clock.to_text(clock.now())
            values = {"hook": webhook_id, "now": now}
            if request.param == "of an idle queue":
                final = {"status": "processed", "due_at": None, "finished_at": now}
                fill(f"{ROWS + 1}, {3 * ROWS}", values | final)
                analyze()
            fill(f"1, {ROWS}", values | {"status": "new", "due_at": now, "finished_at": None})
            if request.param == "of the burst":
                analyze()
            yield webhook_id
            db.session.remove()
            db.engine.dispose()


def fill(numbers: str, values: dict[str, Any]) -> None:
    with database.write(db.engine) as connection:
        connection.exec_driver_sql(FILL.replace("{})", f"{numbers})"), values)


def analyze() -> None:
    with db.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("ANALYZE deliveries")


# --- the steps of a tick


def look(connection: Connection, _: str) -> object:
    return delivery_tasks.open_with_due(connection, clock.now())


def claim(connection: Connection, hook: str) -> object:
    columns = delivery_tasks.TASK_COLUMNS
    return claims.claim(connection, DELIVERIES, columns, hook, now=clock.now(), limit=50)


def lease(connection: Connection, hook: str) -> object:
    columns, limits, now = delivery_tasks.TASK_COLUMNS, {hook: 50}, clock.now()
    return claims.take(connection, DELIVERIES, columns, limits, most=50, now=now, until=now, token="a pass")


def owned(connection: Connection, _: str) -> object:
    return claims.owned(connection, DELIVERIES, {(row_id, "a pass") for row_id in IDS})


def finish(connection: Connection, _: str) -> object:
    return claims.finish(connection, DELIVERIES, IDS, "processed", finished_at=clock.now())


def take_over(connection: Connection, _: str) -> object:
    return claims.take_over(connection, DELIVERIES, IDS, until=clock.now(), token="a pass")


def last_statement(step: Step, hook: str) -> tuple[str, dict[str, Any]]:
    with query_plans.statements() as seen, db.engine.connect() as connection:
        step(connection, hook)
    return seen[-1]


@pytest.mark.parametrize("mode", [query_plans.CUSTOM, query_plans.GENERIC])
@pytest.mark.parametrize("step", [look, claim])
def test_due_rows_are_read_in_their_order_and_no_more_than_wanted(step: Step, mode: str, hook: str) -> None:
    said = query_plans.explain_prepared(*last_statement(step, hook), mode)
    assert "Index Scan using deliveries_by_due on deliveries" in said
    assert "Sort" not in said, said


@pytest.mark.parametrize("mode", [query_plans.CUSTOM, query_plans.GENERIC])
@pytest.mark.parametrize("step", [lease, owned, finish, take_over])
def test_rows_are_found_by_their_ids(step: Step, mode: str, hook: str) -> None:
    said = query_plans.explain_prepared(*last_statement(step, hook), mode)
    assert set(re.findall(r"(?:using|on) (deliveries_\w+)", said)) == {"deliveries_pkey"}, said

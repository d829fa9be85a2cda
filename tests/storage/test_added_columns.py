"""init-db brings an older book up to date, or says why it cannot."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from guestbook.lib.errors import Refused
from guestbook.storage import added_columns, database
from tests.conftest import need
from tests.repo.test_schema import COMMENT, OF, Description, described, engine_on, insert, run
from tests.support import databases

EARLIER = sorted((Path(__file__).parent / "schemas").glob("*.sql"))


@pytest.fixture(params=["sqlite-wal", "postgresql", "mariadb"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param in databases.SERVERS:
        need(request.param)
    with databases.fresh(request.param, tmp_path) as url, engine_on(url) as engine:
        yield engine


@pytest.fixture
def fresh(empty: Engine, tmp_path: Path) -> Description:
    """What a new book of the same kind looks like."""
    kind = {"sqlite": "sqlite-wal", "mysql": "mariadb"}.get(empty.dialect.name, empty.dialect.name)
    (tmp_path / "new").mkdir()
    with databases.fresh(kind, tmp_path / "new") as url, engine_on(url) as engine:
        database.create_tables(engine)
        return by_name(engine)


def by_name(engine: Engine) -> Description:
    """As `described`, but a column that was added stands last and may."""
    tables = described(engine)
    for table in tables.values():
        table["columns"] = sorted(table["columns"])
    return tables


@pytest.mark.parametrize("earlier", EARLIER, ids=lambda path: path.stem)
def test_a_book_of_an_earlier_schema_becomes_as_a_new_one_and_keeps_its_rows(
    empty: Engine, fresh: Description, earlier: Path
) -> None:
    with database.write(empty) as connection:
        run(connection, database.statements(earlier.read_text()))
    for table, row in OF.items():
        insert(empty, row, table)
    for _ in range(2):
        database.create_tables(empty)
    assert by_name(empty) == fresh
    with empty.connect() as connection:
        assert connection.scalar(text("SELECT name FROM comments")) == COMMENT["name"]


def test_a_column_that_cannot_be_added_is_named(empty: Engine) -> None:
    database.create_tables(empty)
    table = "CREATE TABLE IF NOT EXISTS days (\n    mood VARCHAR(9) NOT NULL,\n    PRIMARY KEY (day)\n)"
    with pytest.raises(Refused, match=r"^The table days of this book lacks the column mood, which cannot"):
        added(empty, table)


@pytest.mark.parametrize(
    "column", ["VARCHAR(9)", "VARCHAR(9) DEFAULT 'high' NOT NULL", "INTEGER DEFAULT 0 NOT NULL"]
)
def test_a_column_with_a_value_for_old_rows_is_added_once(empty: Engine, column: str) -> None:
    database.create_tables(empty)
    table = f"CREATE TABLE IF NOT EXISTS days (\n    mood {column},\n    PRIMARY KEY (day)\n)"
    (statement,) = added(empty, table)
    with database.write(empty) as connection:
        connection.execute(text("INSERT INTO days VALUES ('2026-01-31', 1, 2)"))
        connection.exec_driver_sql(statement)
    assert added(empty, table) == []


def added(engine: Engine, table: str) -> list[Any]:
    with engine.connect() as connection:
        return list(added_columns.statements(connection, [table]))

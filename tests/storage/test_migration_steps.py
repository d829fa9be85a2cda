"""Steps of migrations do their work once, and schema.sql loaded by hand never hides an older book."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from guestbook.storage import SCHEMA, database, upgrade
from guestbook.storage.database_errors import WrongVersion
from guestbook.storage.migrations import steps
from tests.repo.test_schema import described, engine_on
from tests.storage import earlier_books
from tests.storage.earlier_books import ROWS, rows
from tests.storage.test_upgrade import by_name, fresh, upgraded


@pytest.fixture
def book(kind: str, tmp_path: Path) -> Iterator[Engine]:
    """A book with rows in every table, whose connections are those of an upgrade."""
    with earlier_books.earlier(kind, tmp_path) as url, engine_on(url) as engine:
        upgrade._suspend_foreign_keys(engine)
        yield engine


@contextmanager
def migrating(engine: Engine) -> Iterator[None]:
    with database.write(engine) as connection, Operations.context(MigrationContext.configure(connection)):
        yield


def test_a_check_is_replaced_and_nothing_else_changes(book: Engine) -> None:
    before, schema = rows(book), described(book)
    with pytest.raises(DBAPIError):
        set_verify(book, "nobody")
    for _ in range(2):
        with migrating(book):
            steps.replace_check("sources", "sources_verify", "verify IN ('github', 'nobody')")
    assert rows(book) == before  # inbound events refer to the sources
    schema["sources"]["checks"].pop("sources_verify")
    now = described(book)
    assert now["sources"]["checks"].pop("sources_verify")
    assert now == schema
    set_verify(book, "nobody")
    with pytest.raises(DBAPIError):
        set_verify(book, "stripe")


def set_verify(engine: Engine, verify: str) -> None:
    with database.write(engine) as connection:
        connection.execute(text("UPDATE sources SET verify = :verify"), {"verify": verify})


def test_a_column_is_added_once(book: Engine) -> None:
    for _ in range(2):
        with migrating(book):
            steps.add_column("days", "mood", "VARCHAR(9) DEFAULT 'high' NOT NULL")
    assert rows(book)["days"] == [ROWS["days"] | {"mood": "high"}]


def load_by_hand(engine: Engine) -> None:
    """Run schema.sql as sqlite3 and psql do, which go on after an error."""
    with engine.connect() as connection:
        for statement in database.statements(SCHEMA.read_text()):
            with suppress(DBAPIError):  # no such column
                connection.exec_driver_sql(statement)
        connection.commit()


@pytest.mark.parametrize("has_version", [True, False])
@pytest.mark.parametrize("is_empty", [False, True])
def test_schema_sql_does_not_hide_the_age_of_a_book(
    has_version: bool, is_empty: bool, tmp_path: Path
) -> None:
    with earlier_books.earlier("sqlite-wal", tmp_path) as url, engine_on(url) as engine:
        with database.write(engine) as connection:
            for table in reversed(ROWS) if is_empty else ():
                connection.exec_driver_sql(f"DELETE FROM {table}")
            if not has_version:
                connection.exec_driver_sql("DROP TABLE alembic_version")
        before = rows(engine)
        load_by_hand(engine)
        assert database.stored_version(engine) == (["0024"] if has_version else [])
        if has_version:
            upgraded(tmp_path, url)
            assert by_name(engine) == fresh("sqlite-wal")
        else:
            with pytest.raises(WrongVersion, match="from before version 0024"):
                upgraded(tmp_path, url)
        after = rows(engine)
        assert all(len(after[table]) == len(found) for table, found in before.items())

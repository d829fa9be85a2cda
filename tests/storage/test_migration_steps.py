"""Steps of migrations do their work once, and schema.sql loaded by hand never hides an older book."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from guestbook.storage import SCHEMA, database, schema_version, upgrade, version_check
from guestbook.storage.migrations import steps
from tests.conftest import need_server
from tests.repo.test_schema import KINDS, described, engine_on
from tests.storage import earlier_books
from tests.storage.earlier_books import ROWS, SCHEMAS, rows
from tests.storage.test_upgrade import by_name, fresh, upgraded

NEWEST = list(SCHEMAS)[-1]


@pytest.fixture(params=KINDS)
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A book with rows in every table, whose connections are those of an upgrade."""
    need_server(request.param)
    with earlier_books.earlier(NEWEST, request.param, tmp_path) as url, engine_on(url) as engine:
        upgrade._suspend_foreign_keys(engine)
        yield engine


@contextmanager
def migrating(engine: Engine) -> Iterator[None]:
    with database.write(engine) as connection, Operations.context(MigrationContext.configure(connection)):
        yield


def test_a_check_is_replaced_and_nothing_else_changes(book: Engine) -> None:
    before, schema = rows(book), described(book)
    with pytest.raises(DBAPIError):
        set_verify(book, "gitlab")
    for _ in range(2):
        with migrating(book):
            steps.replace_check("sources", "sources_verify", "verify IN ('github', 'gitlab')")
    assert rows(book) == before  # inbound events refer to the sources
    schema["sources"]["checks"].pop("sources_verify")
    now = described(book)
    assert now["sources"]["checks"].pop("sources_verify")
    assert now == schema
    set_verify(book, "gitlab")
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


def test_an_index_gets_other_columns_once_under_its_name(book: Engine) -> None:
    for _ in range(2):
        with migrating(book):
            steps.replace_index("deliveries", "deliveries_by_comment", "comment_id", "webhook_id", "event")
            steps.replace_index("days", "days_by_mood", "processed")
    with book.connect() as connection:
        seen = inspect(connection)
        for table, name in (("deliveries", "deliveries_by_comment"), ("days", "days_by_mood")):
            columns = {one["name"]: one["column_names"] for one in seen.get_indexes(table)}[name]
            assert columns == (["processed"] if table == "days" else ["comment_id", "webhook_id", "event"])


def test_a_text_is_widened_and_keeps_its_words(book: Engine) -> None:
    before = rows(book)
    for _ in range(2):
        with migrating(book):
            steps.widen_text("deliveries", "payload")
    assert rows(book) == before
    words = "🦋" * 1_000_000
    with database.write(book) as connection:
        connection.execute(text("UPDATE deliveries SET payload = :words"), {"words": words})
    assert rows(book)["deliveries"][0]["payload"] == words


def test_schema_sql_names_the_last_migration() -> None:
    assert f"SELECT '{schema_version.head()}' AS version_num" in SCHEMA.read_text()


def load_by_hand(engine: Engine) -> None:
    """Run schema.sql as sqlite3 and psql do, which go on after an error."""
    with engine.connect() as connection:
        for statement in database.statements(SCHEMA.read_text()):
            with suppress(DBAPIError):  # no such column
                connection.exec_driver_sql(statement)
        connection.commit()


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("is_empty", [False, True])
def test_schema_sql_over_an_older_book_does_not_hide_its_age(
    schema: str, is_empty: bool, tmp_path: Path
) -> None:
    with earlier_books.earlier(schema, "sqlite-wal", tmp_path) as url, engine_on(url) as engine:
        if is_empty:
            known = rows(engine).keys()
            with database.write(engine) as connection:
                for table in reversed(database.Base.metadata.sorted_tables):
                    if table.name in known:
                        connection.execute(table.delete())
        before = rows(engine)
        load_by_hand(engine)
        if version_check.read(engine):
            assert is_empty
            assert by_name(engine) == fresh("sqlite-wal")
        upgraded(tmp_path, url)
        assert by_name(engine) == fresh("sqlite-wal")
        after = rows(engine)
        after["settings"] = [row for row in after["settings"] if row["name"] != "last_number"]
        assert {table: len(found) for table, found in before.items()} == {
            table: len(after[table]) for table in before
        }

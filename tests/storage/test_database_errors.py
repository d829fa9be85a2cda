"""What an error of the database means, judged by the errors that the databases really give."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pymysql
import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, make_url, text, update
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError as PoolTimeout,
)

import guestbook
from guestbook.inbound.event_processor import Processor
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.database_errors import Fault, fault_of
from guestbook.storage.models import Webhook
from tests.support import factories, inbound_factories as inbound


def error_of(engine: Engine, *statements: str) -> SQLAlchemyError:
    """Run the statements, of which the last goes wrong."""
    *first, last = statements
    try:
        with engine.connect() as connection:
            for statement in first:
                connection.execute(text(statement))
            with pytest.raises(SQLAlchemyError) as failure:
                connection.execute(text(last))
            return failure.value
    except SQLAlchemyError as error:
        return error


@pytest.mark.usefixtures("each_app")
def test_a_fault_that_waiting_does_not_repair_is_told_by_its_code() -> None:
    factories.delivery(factories.webhook())
    db.session.rollback()
    for statement, fault in {
        "SELECT missing FROM comments": Fault.OLD_TABLES,
        "INSERT INTO passes (missing) VALUES (1)": Fault.OLD_TABLES,
        "SELECT 1 FROM missing": Fault.NO_TABLES,
        "INSERT INTO passes VALUES ('1', NULL, 'b', 'c', 0, 0, 0)": Fault.REFUSED,
        "UPDATE deliveries SET due_at = NULL": Fault.REFUSED,
        "SELECT FROM WHERE": Fault.BROKEN,
    }.items():
        assert fault_of(error_of(db.engine, statement)) is fault, statement


def test_a_server_or_a_database_that_is_not_there_is_away(each_environ: dict[str, str]) -> None:
    app = guestbook.create_app(each_environ)
    if app.config["GUESTBOOK"].on_sqlite:
        engine = create_engine("sqlite:////dev/null/book.db")
    else:
        url = make_url(each_environ["GUESTBOOK_DATABASE_URL"])
        engine = create_engine(url.set(database=f"{url.database}_gone"))
    assert fault_of(error_of(engine, "SELECT 1")) is Fault.AWAY


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/book.db", connect_args={"timeout": 0})
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
        connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(100000))")
    yield engine
    engine.dispose()


def test_a_lock_of_another_is_away_for_now(file: Engine, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "book.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert fault_of(error_of(file, "DELETE FROM t")) is Fault.AWAY


def test_a_full_disk_is_away_for_now(file: Engine) -> None:
    insert = "INSERT INTO t VALUES (zeroblob(1000000))"
    assert fault_of(error_of(file, "PRAGMA max_page_count = 1", insert)) is Fault.AWAY


@pytest.mark.parametrize("start", [0, 4096])
def test_a_damaged_file_is_not_away(file: Engine, tmp_path: Path, start: int) -> None:
    file.dispose()
    with (tmp_path / "book.db").open("r+b") as stream:
        stream.seek(start)
        stream.write(b"\xaa" * 4096)
    assert fault_of(error_of(file, "SELECT * FROM t")) is Fault.DAMAGED


CODES: dict[Fault, list[str | int]] = {  # PostgreSQL's are words, MariaDB's numbers
    Fault.AWAY: [
        *("08006", "57P01", "57P03", "53300", "53100", "55P03", "40P01", "25006", "58030"),
        *(0, 2003, 2006, 2013, 1040, 1053, 1205, 1213, 1021, 1030, 1290, 1927),
    ],
    Fault.DAMAGED: ["XX001", 1712],
    Fault.BROKEN: ["42501", 1142],
}


@pytest.mark.parametrize(("fault", "code"), [(fault, code) for fault in CODES for code in CODES[fault]])
def test_the_codes_of_the_servers(fault: Fault, code: str | int) -> None:
    raised: Exception = pymysql.OperationalError(code, "the server's words")
    if isinstance(code, str):
        raised = psycopg.errors.lookup(code)("the server's words")
    assert fault_of(OperationalError("SELECT 1", None, raised)) is fault


def test_what_has_no_code_is_checked_by_where_it_comes_from() -> None:
    closed = psycopg.InterfaceError("the connection is closed")
    assert fault_of(InterfaceError("SELECT 1", None, closed)) is Fault.AWAY
    assert fault_of(DBAPIError("SELECT 1", None, psycopg.ProgrammingError("one %s"))) is Fault.BROKEN
    assert fault_of(PoolTimeout("no connection is free")) is Fault.AWAY
    assert fault_of(OperationalError("BEGIN", None, TimeoutError("took too long"))) is Fault.AWAY
    assert fault_of(DBAPIError("SELECT 1", None, Exception())) is Fault.BROKEN


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(("statement", "tried"), [("SELECT missing FROM comments", 1), ("SELECT FROM", 2)])
def test_what_no_repetition_changes_is_not_repeated_or_once(statement: str, tried: int) -> None:
    tries: list[int] = []

    def act(connection: Connection) -> None:
        tries.append(1)
        connection.exec_driver_sql(statement)

    with pytest.raises(DBAPIError):
        database.write_with_retry(db.engine, act)
    assert len(tries) == tried


@pytest.mark.usefixtures("each_app")
def test_what_the_database_refuses_is_tried_once_more() -> None:
    """Another transaction may have been in the way. A row that is at fault must not cost ten seconds."""
    factories.webhook()
    names: list[str | None] = []

    def rename(connection: Connection) -> None:
        connection.execute(update(Webhook).values(name=names.pop()))

    names = ["taken", None]
    database.write_with_retry(db.engine, rename)
    assert names == []
    names = ["never tried", None, None]
    with pytest.raises(DBAPIError) as refusal:
        database.write_with_retry(db.engine, rename)
    assert fault_of(refusal.value) is Fault.REFUSED
    assert names == ["never tried"]


def test_a_book_that_lacks_a_column_gives_up_no_inbound_event(app: Flask) -> None:
    inbound.source()
    inbound.post({"type": "thing.made", "text": "Hello"})
    with database.write(db.engine) as connection:
        connection.exec_driver_sql("ALTER TABLE comments RENAME COLUMN website TO old")
    with pytest.raises(DBAPIError):
        Processor(db.engine, app.config["GUESTBOOK"]).work()
    assert inbound.row().status == "new"

"""The database: pragmas on every connection, BEGIN IMMEDIATE for writers and never for readers."""

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine, bindparam, create_engine, event, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

import guestbook
from guestbook import settings
from guestbook.storage import column_types, database, database_errors, engines, sqlite_file
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Webhook
from tests.conftest import need, running, settings_for
from tests.support import databases, factories
from tests.support.databases import default_mode

PRAGMAS = {"foreign_keys": 1, "synchronous": 3, "busy_timeout": engines.FOR_PASSES.read * 1000}
PRAGMAS["journal_size_limit"] = sqlite_file.JOURNAL_LIMIT
on_sqlite = pytest.mark.skipif(default_mode() != "sqlite-wal", reason="SQLite's own")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Engine]:
    yield from on_file(tmp_path, "")


@pytest.fixture
def journal_book(tmp_path: Path) -> Iterator[Engine]:
    yield from on_file(tmp_path, "?journal_mode=delete")


def on_file(folder: Path, query: str) -> Iterator[Engine]:
    app = guestbook.create_app(settings_for(folder, f"sqlite:///{folder / 'book.db'}{query}"))
    with app.app_context():
        database.create_tables(db.engine)
        yield db.engine
        db.session.remove()
        db.engine.dispose()


@contextmanager
def begins() -> Iterator[list[str]]:
    """Collect the statements that begin transactions, as SQLite itself gets them."""
    seen: list[str] = []

    def trace(raw: sqlite3.Connection, *_: object) -> None:
        raw.set_trace_callback(lambda sql: seen.append(sql) if sql.startswith("BEGIN") else None)

    db.engine.dispose()
    event.listen(db.engine, "connect", trace)
    try:
        yield seen
    finally:
        event.remove(db.engine, "connect", trace)
        db.session.remove()
        db.engine.dispose()


def test_the_pragmas_are_in_force_on_every_connection(book: Engine) -> None:
    connections = [book.connect() for _ in range(4)]
    for connection in connections:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in PRAGMAS}
        assert found == PRAGMAS
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        connection.close()


def test_a_journal_that_has_grown_shrinks_when_nobody_reads_it_any_more(
    book: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "JOURNAL_LIMIT", 100_000)
    book.dispose()
    wal = tmp_path / "book.db-wal"
    with book.connect() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM settings").all()
        with database.write(book) as connection:
            connection.exec_driver_sql("CREATE TABLE big (bytes BLOB)")
            connection.exec_driver_sql("INSERT INTO big VALUES (zeroblob(6000000))")
        assert wal.stat().st_size > 6_000_000
    for _ in range(3):
        with database.write(book) as connection:
            connection.exec_driver_sql("INSERT INTO big VALUES (zeroblob(10))")
    assert wal.stat().st_size <= 100_000


def test_the_pragmas_are_in_force_in_the_session_and_after_writing(book: Engine) -> None:  # noqa: ARG001
    for _ in range(2):
        found = {name: db.session.execute(text(f"PRAGMA {name}")).scalar() for name in PRAGMAS}
        assert found == PRAGMAS
        with database.writing() as session:
            session.execute(text("UPDATE webhooks SET name = name"))
    with database.write(db.engine) as connection:  # whose commit may wait for what is left of its time
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in PRAGMAS}
        assert found.pop("busy_timeout") >= PRAGMAS["busy_timeout"]
        assert found.items() < PRAGMAS.items()


def test_readers_never_take_the_lock_and_writers_take_it_at_once(book: Engine) -> None:
    with begins() as seen:
        with book.connect() as connection:
            connection.execute(select(Comment.id)).all()
        with database.write(book) as connection:
            connection.execute(select(Comment.id)).all()
        with book.connect() as connection:
            connection.execute(select(Comment.id)).all()
    assert seen == ["BEGIN", "BEGIN IMMEDIATE", "BEGIN"]


def test_the_session_of_a_request_is_a_reader_until_it_is_writing(book: Engine) -> None:  # noqa: ARG001
    with begins() as seen:
        db.session.scalars(select(Webhook)).all()
        with database.writing() as session:
            session.scalars(select(Webhook)).all()
        db.session.scalars(select(Webhook)).all()
        db.session.rollback()
        with pytest.raises(ZeroDivisionError), database.writing():
            raise ZeroDivisionError
        db.session.scalars(select(Webhook)).all()
    assert seen == ["BEGIN", "BEGIN IMMEDIATE", "BEGIN", "BEGIN IMMEDIATE", "BEGIN"]


def test_a_reader_sees_its_snapshot_while_a_writer_writes(book: Engine) -> None:
    with book.connect() as reader:
        assert reader.execute(select(Comment.id)).all() == []
        with database.writing() as session:
            session.add(Comment(name="Ada", message="Hello", status="published"))
        assert reader.execute(select(Comment.id)).all() == []
        reader.rollback()
        assert len(reader.execute(select(Comment.id)).all()) == 1


@pytest.mark.parametrize("kind", ["book", "journal_book"])
def test_two_writers_take_turns_and_lose_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    engine: Engine = request.getfixturevalue(kind)
    hook = factories.webhook(failures_in_a_row=0)

    def count_up() -> None:
        for _ in range(25):
            with database.write(engine) as connection:
                [seen] = connection.execute(select(Webhook.failures_in_a_row)).scalars()
                connection.execute(update(Webhook).values(failures_in_a_row=seen + 1))

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert factories.the(Webhook, hook).failures_in_a_row == 100


def test_a_writer_whose_turn_never_comes_says_so(book: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "FOR_PASSES", replace(engines.FOR_PASSES, write=0.05))
    with database.write(book), pytest.raises(OperationalError, match="took too long"), database.write(book):
        pass
    with database.write(book) as connection:
        assert connection.execute(select(Comment.id)).all() == []


def test_an_error_leaves_nothing_and_the_lock_free(book: Engine) -> None:
    def write_and_stumble() -> None:
        with database.writing() as session:
            session.add(Comment(name="Ada", message="Hello", status="published"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_stumble()
    with database.write(book) as connection:
        assert connection.execute(select(Comment.id)).all() == []


def test_a_rollback_journal_is_kept_where_it_is_asked_for(journal_book: Engine) -> None:
    assert engines.journal_mode(journal_book) == "delete"
    with journal_book.connect() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in PRAGMAS}
    assert found == PRAGMAS
    factories.webhook()
    factories.sign()
    assert len(factories.deliveries()) == 1
    assert not list(Path(journal_book.url.database or "").parent.glob("*-wal"))


def test_a_book_whose_mode_cannot_be_changed_now_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "book.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
        other.commit()
        other.execute("BEGIN EXCLUSIVE")
        raw = sqlite3.connect(path, isolation_level=None)
        raw.execute("PRAGMA busy_timeout = 0")
        sqlite_file.set_journal(raw, "wal")
        other.rollback()
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        raw.close()
    other.close()


@pytest.mark.usefixtures("book")
def test_a_new_file_and_those_beside_it_are_their_owner_s_alone(tmp_path: Path) -> None:
    factories.webhook()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("book.db*")}
    assert modes == dict.fromkeys(("book.db", "book.db-wal", "book.db-shm"), 0o600)


def test_a_file_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "book.db"
    path.touch()
    path.chmod(0o640)
    for _ in on_file(tmp_path, ""):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_database_without_a_wal_works_and_says_so(tmp_path: Path) -> None:
    read = settings.load(settings_for(tmp_path, f"sqlite:///{tmp_path}/guestbook.db"))
    engine = create_engine("sqlite://", connect_args={"isolation_level": None})
    engines.set_up(engine, read, waits=lambda: engines.FOR_PASSES)  # one in memory has none to be had
    database.create_tables(engine)
    assert engines.journal_mode(engine) == "memory"
    with database.write(engine) as connection:
        connection.execute(text("INSERT INTO passes VALUES ('1', 'a', 'b', 'c', 0, 0, 0)"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM passes")).scalar() == 1
    engine.dispose()
    assert not Path(":memory:").exists()


@pytest.mark.usefixtures("each_app")
def test_the_tables_may_be_made_again_and_keep_their_rows() -> None:
    factories.webhook()
    database.create_tables(db.engine)
    assert len(db.session.scalars(select(Webhook)).all()) == 1
    db.session.rollback()
    found = set(inspect(db.engine).get_table_names())
    assert found >= {"comments", "webhooks", "deliveries", "attempts", "passes"}


def test_five_may_make_the_tables_at_once(each_environ: dict[str, str]) -> None:
    read = settings.load(each_environ)
    start = threading.Barrier(5, timeout=30)

    def make(_number: int) -> list[str]:
        with engines.opened(read) as engine:
            engine.connect().close()
            start.wait()
            database.create_tables(engine)
            return sorted(inspect(engine).get_table_names())

    with ThreadPoolExecutor(5) as pool:
        first, *others = pool.map(make, range(5))
    assert "comments" in first
    assert others == [first] * 4


@pytest.mark.usefixtures("each_app")
def test_a_time_comes_back_as_it_went_in() -> None:
    moment = datetime(2026, 1, 31, 23, 59, 59, 123_000, UTC)
    hook = factories.webhook(created_at=moment, paused_until=None)
    row = factories.the(Webhook, hook)
    assert (row.created_at, row.paused_until) == (moment, None)
    raw = db.session.execute(text("SELECT created_at FROM webhooks")).scalar()
    assert raw == "2026-01-31T23:59:59.123Z"


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ('{"X-Token": "ä"}', {"X-Token": "ä"}),
        ('{"X-Number": 1}', {"X-Number": "1"}),
        ("nonsense", {column_types.UNREADABLE: "nonsense"}),
        ("[]", {column_types.UNREADABLE: "[]"}),
        ("[" * 50_000, {column_types.UNREADABLE: "[" * 50_000}),
    ],
)
def test_headers_that_somebody_broke_by_hand_can_still_be_seen(stored: str, read: dict[str, str]) -> None:
    hook = factories.webhook()
    with database.writing() as session:
        session.execute(text("UPDATE webhooks SET headers = :stored"), {"stored": stored})
    assert factories.the(Webhook, hook).headers == read


@on_sqlite
def test_a_process_that_starts_while_another_writes_waits_for_its_turn(app: Flask, tmp_path: Path) -> None:
    code = (
        "import guestbook\n"
        "from guestbook.storage import database\n"
        "from guestbook.storage.database import db\n"
        f"app = guestbook.create_app({settings_for(tmp_path, app.config['GUESTBOOK'].database_url)!r})\n"
        "with app.app_context():\n"
        "    print('ready', flush=True)\n"
        "    with database.write(db.engine) as c: c.exec_driver_sql(\"UPDATE webhooks SET name = 'two'\")\n"
    )
    hook = factories.webhook()
    with database.write(db.engine) as connection:
        other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert other.stdout
        assert other.stdout.readline() == b"ready\n"
        connection.execute(select(Webhook.id)).all()
        assert other.poll() is None
    assert other.communicate(timeout=30) == (b"", b"")
    assert factories.the(Webhook, hook).name == "two"


@pytest.mark.parametrize("mode", databases.SERVERS)
def test_of_two_that_wait_for_each_other_one_is_told_to_yield(mode: str, tmp_path: Path) -> None:
    need(mode)
    with (
        databases.fresh(mode, tmp_path) as url,
        running(settings_for(tmp_path, url)) as app,
        app.app_context(),
    ):
        rows = [factories.webhook(), factories.webhook()]
        both_have_one = threading.Barrier(2, timeout=10)

        def take(order: list[str], engine: Engine = db.engine) -> SQLAlchemyError | None:
            try:
                with database.write(engine) as connection:
                    lock = select(Webhook.id).where(Webhook.id == bindparam("id")).with_for_update()
                    connection.execute(lock, {"id": order[0]}).all()
                    both_have_one.wait()
                    connection.execute(lock, {"id": order[1]}).all()
            except SQLAlchemyError as error:
                return error
            return None

        with ThreadPoolExecutor(2) as pool:
            errors = [error for error in pool.map(take, [rows, rows[::-1]]) if error]
        assert [database_errors.is_conflict(error) for error in errors] == [True]


@pytest.mark.needs("postgresql")
def test_a_read_leaves_the_prepared_statements_of_its_connection(tmp_path: Path) -> None:
    with databases.fresh("postgresql", tmp_path) as url:
        engine = create_engine(url, pool_size=1, max_overflow=0)
        for _ in range(10):  # psycopg prepares what it has run five times
            with database.write(engine) as connection:
                connection.exec_driver_sql("SELECT 'hot'")
            with database.read(engine) as connection:
                connection.exec_driver_sql("SELECT 'a look'")
        with database.read(engine) as connection:
            rows = connection.exec_driver_sql("SELECT statement FROM pg_prepared_statements")
            prepared = set(rows.scalars())
        engine.dispose()
    assert prepared == {"SELECT 'hot'", "SELECT 'a look'"}


@pytest.mark.parametrize("each_environ", ["mariadb"], indirect=True)  # psycopg sends nothing then
@pytest.mark.usefixtures("each_app")
def test_of_a_connection_lost_when_it_goes_back_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with db.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.commit()
        databases.end_connections(db.engine)
    assert caplog.records == []
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.usefixtures("each_app")
def test_after_a_write_to_a_server_that_only_reads_another_connection_is_made() -> None:
    """After a failover the old connections may lead to the server that was replaced."""
    reads_only = {
        "postgresql": "SET default_transaction_read_only = on",
        "mysql": "SET SESSION TRANSACTION READ ONLY",
    }
    db.engine.dispose()
    with db.engine.connect() as connection:
        connection.exec_driver_sql(reads_only[db.engine.dialect.name])
        connection.commit()
    with pytest.raises(DBAPIError) as refused:
        factories.webhook()
    assert database.is_away(refused.value)
    factories.webhook()


@pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.usefixtures("each_app")
def test_a_connection_that_is_lost_while_tables_are_made_is_told_as_such() -> None:
    def make() -> None:
        with database.write(db.engine) as connection, database.alone(connection):
            databases.end_connections(db.engine)
            connection.execute(text("SELECT 1"))

    with pytest.raises(DBAPIError) as lost:
        make()
    assert database.is_away(lost.value)
    database.create_tables(db.engine)  # the lock is free

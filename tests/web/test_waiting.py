"""A foreign lock on the database stops no reader, and a writer not for long."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, event, make_url, text

from guestbook.storage import engines
from guestbook.storage.database import db
from tests.support.visitor import Visitor, fields, parse, stored
from tests.web.test_database_faults import form_of

REQUESTS = engines.FOR_REQUESTS
WAITS = replace(REQUESTS, write=0.4, read=0.2, on_server=1, retry=REQUESTS.retry / REQUESTS.on_server)
LONGEST = 10.0  # seconds; half of what a pass would wait, and much for a machine that has much else to do


@contextmanager
def locked(app: Flask, statement: str) -> Iterator[None]:
    """Hold a lock as a foreign program would, for as long as the block takes."""
    url = make_url(app.config["GUESTBOOK"].database_url)
    if url.drivername == "sqlite":
        with closing(sqlite3.connect(url.database or "", isolation_level=None)) as other:
            other.execute(statement)
            yield
        return
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
            yield
    finally:
        engine.dispose()


@pytest.fixture
def waiter(each_app: Flask) -> Visitor:
    """Somebody whose requests wait shorter than in life."""
    each_app.config["WAITS"] = WAITS
    with each_app.app_context():
        db.engine.dispose()  # so that all connections are made in requests
    return Visitor(each_app)


@pytest.mark.parametrize(
    ("each_environ", "statement"),
    [
        ("sqlite-wal", "BEGIN EXCLUSIVE"),
        ("sqlite-journal", "BEGIN IMMEDIATE"),
        ("postgresql", "LOCK TABLE comments IN EXCLUSIVE MODE"),
        ("mariadb", "UPDATE limits SET hits = 0"),
    ],
    indirect=["each_environ"],
)
def test_under_a_foreign_lock_readers_read_and_a_writer_is_answered(waiter: Visitor, statement: str) -> None:
    form = form_of(waiter.app)
    assert waiter.send(form).status_code == 303  # so that there is a row of the limits
    form |= {"message": "Please keep me"}
    with locked(waiter.app, statement):
        started = time.monotonic()
        assert [waiter.get(url).status_code for url in ("/", "/api/v1/comments")] == [200, 200]
        answer = waiter.send(form)
        assert time.monotonic() - started < LONGEST
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert fields(parse(answer))["message"] == "Please keep me"
    assert waiter.send(form).status_code == 303
    assert len(stored()) == 2


@pytest.mark.parametrize(
    ("each_environ", "statement"),
    [("postgresql", "LOCK TABLE comments IN EXCLUSIVE MODE"), ("mariadb", "UPDATE limits SET hits = 0")],
    indirect=["each_environ"],
)
def test_who_has_waited_for_a_lock_does_not_wait_for_it_again(waiter: Visitor, statement: str) -> None:
    form, waits = form_of(waiter.app), list[str]()
    assert waiter.send(form).status_code == 303
    with waiter.app.app_context():
        engine: Engine = db.engine
    event.listen(engine, "handle_error", lambda context: waits.append(str(context.original_exception)))
    with locked(waiter.app, statement):
        assert waiter.send(form | {"message": "Please keep me"}).status_code == 503
    assert len(waits) == 1, waits


@pytest.mark.parametrize("each_environ", ["sqlite-journal"], indirect=True)
def test_without_a_wal_a_reader_behind_a_long_commit_is_asked_to_come_again(waiter: Visitor) -> None:
    with locked(waiter.app, "BEGIN EXCLUSIVE"):
        started = time.monotonic()
        assert waiter.get("/").status_code == 503
        assert time.monotonic() - started < LONGEST
    assert waiter.get("/").status_code == 200

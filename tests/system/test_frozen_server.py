"""A database server that freezes: it accepts connections and says nothing. Nobody waits for it for ever."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select

from guestbook.storage import database, engines
from guestbook.storage.models import Comment
from tests.conftest import running, settings_for
from tests.support import databases, factories
from tests.support.book import Book
from tests.support.freezing_proxy import FreezingProxy
from tests.support.receiver import Receiver
from tests.support.visitor import GREETING, Visitor, fields, parse

pytestmark = pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)

AWAY = "The database cannot be used now: "
ANSWER, CONNECT = 1, 1  # seconds, in place of a minute and of ten
LONGEST = ANSWER + 2 * CONNECT + 3  # seconds; the last are for a busy machine
COMMIT = {"postgresql": b"COMMIT\0", "mariadb": b"\x03COMMIT"}  # SET AUTOCOMMIT is another one


class Proxied:
    """The same book, whose database can freeze."""

    def __init__(self, app: Flask, proxy: FreezingProxy) -> None:
        self.app, self.proxy = app, proxy
        self.commit = COMMIT["postgresql" if "postgresql" in proxy.url else "mariadb"]

    def cron(self) -> tuple[int, str]:
        with self.app.app_context():
            result = self.app.test_cli_runner().invoke(args=["cron", "--max-seconds=1"])
        return result.exit_code, result.stderr


@contextmanager
def soon(seconds: float) -> Iterator[None]:
    """Assert that what is done here takes no longer."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def number_of_comments(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(Comment)) or 0


@pytest.fixture
def proxied(each_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxied]:
    monkeypatch.setattr(engines, "CONNECT_WAIT", CONNECT)
    monkeypatch.setattr(engines, "CONNECT_TRIES", 1)
    monkeypatch.setattr(database, "RETRY_FOR", ANSWER)
    monkeypatch.setattr(engines, "FOR_PASSES", replace(engines.FOR_PASSES, answer=ANSWER))
    monkeypatch.setattr(engines, "FOR_REQUESTS", replace(engines.FOR_REQUESTS, answer=ANSWER))
    with (
        FreezingProxy(each_environ["GUESTBOOK_DATABASE_URL"]) as proxy,
        running(each_environ | {"GUESTBOOK_DATABASE_URL": proxy.url}) as app,
    ):
        yield Proxied(app, proxy)
        proxy.thaw()


@pytest.mark.parametrize(
    ("moment", "swallows"),
    [
        *(("connect", True), ("claim", True), ("look", True), ("record", False)),
        *(("commit", True), ("commit", False)),  # The second is made, and nobody hears of it.
    ],
)
def test_no_pass_is_held_by_a_server_that_freezes(
    each_book: Book, proxied: Proxied, receiver: Receiver, moment: str, swallows: bool
) -> None:
    each_book.webhook(receiver.url("/hook"))
    each_book.publish(3)
    words = {
        "claim": (b"UPDATE deliveries",),
        "look": (b"UPDATE deliveries", proxied.commit, b"SELECT"),
        "record": (b"INSERT INTO attempts",),
        "commit": (b"INSERT INTO attempts", proxied.commit),
    }
    if moment == "connect":
        proxied.proxy.freeze()
    else:
        proxied.proxy.freeze_at(*words[moment], swallows=swallows)
    with soon(1 + LONGEST):
        code, said = proxied.cron()
    assert (code, said[: len(AWAY)], said.count("\n")) == (75, AWAY, 1), said
    assert proxied.proxy.is_frozen
    proxied.proxy.thaw()
    each_book.expire()
    assert proxied.cron() == (0, "")
    each_book.check_arrivals(receiver.requests, unrecorded=0 if moment == "claim" else 3)


@pytest.mark.parametrize("swallows", [True, False])
def test_a_visitor_gets_a_page_in_time_and_the_comment_is_there_once(
    each_book: Book, proxied: Proxied, swallows: bool
) -> None:
    visitor = Visitor(proxied.app)
    form = visitor.form() | GREETING
    proxied.proxy.freeze_at(b"INSERT INTO comments", proxied.commit, swallows=swallows)
    with soon(LONGEST):
        answer = visitor.send(form)
    assert answer.status_code == 503
    assert fields(parse(answer))["message"] == GREETING["message"]
    with soon(LONGEST):
        assert visitor.get("/").status_code == 503
    with soon(LONGEST):
        assert visitor.get("/healthz").status_code == 503
    proxied.proxy.thaw()
    assert visitor.send(form).status_code == 303
    proxied.proxy.freeze()  # This time a connection waits for the next request.
    with soon(LONGEST):
        assert visitor.get("/").status_code == 503
    proxied.proxy.thaw()
    assert visitor.get("/").status_code == 200
    assert number_of_comments(each_book.engine) == 1


LONG_WORK = replace(engines.FOR_LONG_WORK, answer=ANSWER)
READ, STORE = b"SELECT count(*)", b"INSERT INTO comments"


@pytest.fixture
def empty(each_environ: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of the same server."""
    mode = "postgresql" if "postgresql" in each_environ["GUESTBOOK_DATABASE_URL"] else "mariadb"
    with databases.fresh(mode, tmp_path) as url:
        yield url


def long_command(app: Flask, *typed: str) -> tuple[int, str]:
    """Run a command with statements that may take hours; return its exit code and what it said."""
    with engines.waiting(LONG_WORK), app.app_context():
        result = app.test_cli_runner().invoke(args=typed)
    return result.exit_code, result.stderr


@pytest.mark.parametrize("command", ["backup", "migrate-to", "comments export"])
def test_a_command_that_may_take_hours_ends_when_its_server_freezes_in_a_statement(
    each_book: Book, proxied: Proxied, tmp_path: Path, command: str
) -> None:
    each_book.publish(3)
    file = tmp_path / "file"
    proxied.proxy.freeze_at(READ if command != "comments export" else b"FROM comments", swallows=True)
    place = f"sqlite:///{file}" if command == "migrate-to" else str(file)
    code, said = long_command(proxied.app, *command.split(), place)
    assert (code, AWAY in said, f"the server did not answer for {ANSWER} second" in said) == (75, True, True)
    proxied.proxy.thaw()
    code, _ = long_command(proxied.app, *command.split(), place)
    assert code == 0


@pytest.mark.parametrize("moment", ["statement", "commit", "made"])
def test_a_move_ends_when_its_target_freezes_and_can_be_repeated(
    proxied: Proxied, empty: str, tmp_path: Path, moment: str
) -> None:
    with (
        FreezingProxy(empty) as target,
        running(settings_for(tmp_path, f"sqlite:///{tmp_path}/guestbook.db")) as app,
    ):
        with app.app_context():
            factories.sign()
        words = (STORE,) if moment == "statement" else (STORE, proxied.commit)
        target.freeze_at(*words, swallows=moment != "made")
        code, said = long_command(app, "migrate-to", target.url)
        assert (code, "The target cannot be used now: " in said) == (75, True)
        assert f"the server did not answer for {ANSWER} second" in said
        target.thaw()
        code, said = long_command(app, "migrate-to", target.url)
        # A server may make a commit after we have given it up.
        assert code == 0 or (moment != "statement" and "holds a book already" in said)
        with engines.opened(replace(app.config["GUESTBOOK"], database_url=empty)) as engine:
            assert number_of_comments(engine) == 1


def test_a_statement_may_take_long_while_the_server_answers_others(proxied: Proxied) -> None:
    seconds = {"postgresql": "pg_sleep(2.5)", "mariadb": "sleep(2.5)"}
    read = proxied.app.config["GUESTBOOK"]
    with engines.waiting(LONG_WORK), engines.opened(read) as engine, engine.connect() as connection:
        name = "postgresql" if engine.dialect.name == "postgresql" else "mariadb"
        connection.exec_driver_sql(f"SELECT {seconds[name]}")

"""Whatever stores work wakes the passes that wait. Where a wake-up is missed, a look finds the work."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from flask import Flask
from sqlalchemy import Engine, select, text, update
from sqlalchemy.orm import Session

from guestbook.inbound.event_processor import Processor
from guestbook.lib import clock, wakeup_socket
from guestbook.lib.current_process import StopFlag, flag_set_by
from guestbook.outbound import event_publisher
from guestbook.outbound.delivery_dispatcher import Dispatcher
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queue import poller, redelivery
from guestbook.queue.poller import Poller
from guestbook.storage import database, engines, row_changes
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, InboundEvent, Webhook
from tests.support import databases, factories, inbound_factories, visitor
from tests.support.api_client import ApiClient, new_token
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.processes import wait_for
from tests.support.receiver import Receiver
from tests.support.visitor import Visitor

LONG = 10.0  # seconds; no test here takes so long
SHORT = 0.05  # seconds without a wake-up
NEVER = 3600.0
HOUR = timedelta(hours=1)
POSTGRESQL = pytest.mark.parametrize("each_environ", ["postgresql"], indirect=True)
SERVERS = pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)
Writer = Callable[[Flask], object]


@pytest.fixture(autouse=True)
def _no_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no pass look by itself, so that only a wake-up can end its wait."""
    monkeypatch.setattr(poller, "SQLITE_POLL", NEVER)
    monkeypatch.setattr(poller, "SERVER_POLL", NEVER)
    monkeypatch.setattr(poller, "LONGEST_REST", NEVER)


@pytest.fixture
def resting(each_app: Flask) -> Iterator[Poller]:  # noqa: ARG001  it has the tables
    """A poller that may be woken, and has looked."""
    with Poller(db.engine, wakes=True) as one:
        one.next_due()
        yield one


@pytest.fixture
def elsewhere(each_app: Flask, tmp_path: Path) -> Iterator[Engine]:  # noqa: ARG001  it gives the settings
    """The same database, with the data folder of another host."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with engines.opened(replace(factories.settings(), data_dir=folder)) as engine:
        yield engine


def paused_webhook(events: str = "comment.created") -> str:
    """Add a webhook whose deliveries are not due, so that they do not end a rest by themselves."""
    return factories.webhook(events=events, paused_until=clock.now() + HOUR)


def is_woken(one: Poller, seconds: float = LONG) -> bool:
    """Whether a wake-up ends the rest; then look, as a pass would."""
    answer = one.rest(time.monotonic() + seconds, StopFlag())
    one.next_due()
    return answer


# --- who wakes


def enable(session: Session) -> Webhook:
    webhook = session.scalars(select(Webhook).where(Webhook.disabled_at.is_not(None))).one()
    row_changes.enable(session, webhook)
    return webhook


SIGNED = {"name": "Ada", "message": "Hello"}
WRITERS: dict[str, Writer] = {
    "a comment on the page": lambda app: Visitor(app).sign().status_code == 303,
    "a comment by the API": lambda app: ApiClient(app, new_token()).post("/comments", SIGNED),
    "a webhook from elsewhere": lambda _: inbound_factories.post({"text": "Hello"}),
    "an inbound event": lambda _: Processor(db.engine, factories.settings()).work(),
    "a redelivery": lambda _: redelivery.run(Delivery, Delivery.status == "failed") == 1,
    "a reprocessed event": lambda _: redelivery.run(InboundEvent, InboundEvent.status == "failed") == 1,
    "an enabled webhook": lambda _: factories.written(enable),
}


def test_each_writer_wakes_a_pass(each_app: Flask, resting: Poller) -> None:
    visitor.let_write()
    factories.delivery(factories.webhook(disabled_at=clock.now(), disabled_reason="by_hand"), status="failed")
    paused_webhook("comment.created inbound.received")
    inbound_factories.source(action="forward", template=None)
    inbound_factories.post({"text": "It has failed."})
    with database.write(db.engine) as connection:
        failed = {"status": "failed", "due_at": None, "processed_at": clock.now()}
        connection.execute(update(InboundEvent).values(**failed))
    resting.next_due()
    for name, write in WRITERS.items():
        assert not is_woken(resting, SHORT), name
        assert write(each_app), name
        assert is_woken(resting), name


def test_a_command_wakes_all_passes(each_environ: dict[str, str], resting: Poller, forks: Forks) -> None:
    paused_webhook()
    with Poller(db.engine, wakes=True) as other:
        other.next_due()
        forks.run(each_environ, "trigger", "comment.created")
        assert is_woken(other)
    assert is_woken(resting)


def test_what_is_rolled_back_wakes_nobody_nor_does_what_follows(each_book: Book, resting: Poller) -> None:
    paused_webhook()

    def fail() -> None:
        with database.writing() as session:
            data = EVENTS["comment.created"].sample_data()
            event_publisher.publish(session.connection(), "comment.created", data, each_book.settings)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    factories.webhook()
    assert not is_woken(resting, SHORT)


@pytest.mark.needs("postgresql")
@POSTGRESQL
def test_postgresql_wakes_a_pass_on_another_host(each_app: Flask, resting: Poller, elsewhere: Engine) -> None:
    paused_webhook()
    other = Book(each_app)
    other.engine = elsewhere
    other.publish()
    assert is_woken(resting)
    with Poller(elsewhere, wakes=True):  # it is on that host, so it does the work
        other.publish()
    assert not is_woken(resting, SHORT)


# --- what a wake-up costs and what it does not


def test_a_flood_of_wake_ups_costs_one_look(each_book: Book, resting: Poller) -> None:
    paused_webhook()
    for _ in range(50):
        each_book.publish()
    assert is_woken(resting)
    assert not is_woken(resting, SHORT)


def test_a_pass_sends_what_wakes_it(each_book: Book, receiver: Receiver) -> None:
    each_book.webhook(receiver.url())
    stop, dispatcher = StopFlag(), Dispatcher(each_book.engine, each_book.settings, concurrency=4)
    run = threading.Thread(target=lambda: dispatcher.run(until=time.monotonic() + LONG, stay=True, stop=stop))
    run.start()
    for number in range(1, 4):
        each_book.publish()
        receiver.wait_for(number)
    stop.set()
    run.join()
    assert each_book.statuses() == {"processed": 3}
    assert not list(each_book.settings.data_dir.glob(f"{wakeup_socket.SOCKET_PREFIX}*"))


def test_a_killed_pass_costs_nobody_anything(book: Book, environ: dict[str, str], forks: Forks) -> None:
    def sockets() -> list[Path]:
        return list(book.settings.data_dir.glob(f"{wakeup_socket.SOCKET_PREFIX}*"))

    running = forks.start(environ, "cron", "--stay")
    deadline = time.monotonic() + LONG
    while not sockets():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.kill()
    paused_webhook()
    book.sign()
    before = sockets()
    with Poller(book.engine, wakes=True) as one:
        assert len(sockets()) == 1
        assert sockets() != before
        one.next_due()
        book.sign()
        assert is_woken(one)


@pytest.mark.usefixtures("app")
def test_a_signal_ends_a_rest_at_once() -> None:
    with Poller(db.engine, wakes=True) as one, flag_set_by([signal.SIGUSR1], second_ends=False) as stop:
        one.next_due()
        killer = threading.Timer(SHORT, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        killer.start()
        began = time.monotonic()
        one.rest(began + LONG, stop)
        assert time.monotonic() - began < LONG / 2
        assert stop.is_set()


# --- without a wake-up


def test_unannounced_work_is_found(each_book: Book, resting: Poller, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = each_book.webhook("https://receiver.example/")
    monkeypatch.setattr(poller, "SQLITE_POLL", SHORT)
    monkeypatch.setattr(poller, "SERVER_POLL", SHORT)
    monkeypatch.setattr(poller, "LONGEST_REST", SHORT)
    factories.delivery(hook)
    began = time.monotonic()
    assert not is_woken(resting)
    assert time.monotonic() - began < LONG / 2


def test_without_a_socket_a_pass_looks_by_itself(each_book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guestbook.queue.poller.WakeupSocket", mock.Mock(side_effect=OSError))
    monkeypatch.setattr("guestbook.queue.poller.Wakeups._listen", lambda _self: None)
    each_book.webhook("https://receiver.example/")
    with Poller(each_book.engine, wakes=True) as one:
        test_unannounced_work_is_found(each_book, one, monkeypatch)


# --- the server ends the connection


@SERVERS
def test_a_poller_reconnects(each_book: Book, resting: Poller, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failover the old one may lead to the server that was replaced, and reads do not fail there."""
    paused_webhook()
    own = "pg_backend_pid()" if each_book.engine.dialect.name == "postgresql" else "connection_id()"
    own_id = text(f"SELECT {own}")
    numbers = [resting.connection.scalar(own_id)]
    for renew_after in (NEVER, 0.0):
        monkeypatch.setattr(engines, "RENEW_AFTER", renew_after)
        resting.next_due()
        numbers.append(resting.connection.scalar(own_id))
        resting.connection.commit()
        each_book.publish()
        assert is_woken(resting)
    assert numbers[0] == numbers[1] != numbers[2]


@SERVERS
def test_a_pass_that_stays_outlives_the_end_of_its_connections(each_book: Book, receiver: Receiver) -> None:
    each_book.webhook(receiver.url())
    stop, dispatcher = StopFlag(), Dispatcher(each_book.engine, each_book.settings, concurrency=4)
    with ThreadPoolExecutor(1) as threads:
        until = time.monotonic() + 3 * LONG
        run = threads.submit(dispatcher.run, until=until, stay=True, stop=stop)
        for number in range(1, 5):
            each_book.publish()
            receiver.wait_for(number)
            wait_for(lambda count=number: each_book.statuses() == {"processed": count})
            databases.end_connections(each_book.engine)
        stop.set()
        assert run.result().processed == 4
    assert each_book.statuses() == {"processed": 4}
    assert len(receiver.requests) == 4

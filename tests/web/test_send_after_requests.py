"""Without cron, the end of a request sends what is due, and a pinger's call does. Neither starts a thread."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask import Flask
from flask.testing import FlaskClient

from guestbook.background import whole_pass
from guestbook.lib import clock, ids, locks
from guestbook.storage import cron_token, database, hosts_sharing_sqlite
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Pass
from guestbook.transport.http_request_and_redirects import ReceiverAnswer, Transport
from guestbook.web import health_metrics_pinger, send_after_requests
from tests.conftest import running, settings_for
from tests.support import factories
from tests.support.book import Book
from tests.support.receiver import HANG, Answer, Receiver

MUCH_TOO_LONG = 5.0  # seconds, less than an attempt may take elsewhere; scripts/bench measures
ALONE = {"wsgi.multithread": False, "wsgi.multiprocess": False, "SERVER_SOFTWARE": "WSGIServer/0.2"}
BUSY_SERVER = {"wsgi.multithread": True, "wsgi.multiprocess": False, "SERVER_SOFTWARE": "waitress"}


@pytest.fixture
def app(environ: dict[str, str]) -> Iterator[Flask]:
    """A book that only a pinger lets send."""
    with running(environ) as app, app.app_context():
        yield app
        db.session.remove()


@pytest.fixture
def site(environ: dict[str, str]) -> Iterator[Flask]:
    """A book whose requests send."""
    with running({**environ, "GUESTBOOK_SEND_AFTER_REQUESTS": "true"}) as app, app.app_context():
        yield app
        db.session.remove()


@contextmanager
def no_thread() -> Iterator[None]:
    """Let nothing start a thread in this one."""
    start, ours = threading.Thread.start, threading.current_thread()

    def refuse(thread: threading.Thread) -> None:
        assert threading.current_thread() is not ours, "A thread was started."
        start(thread)

    with mock.patch.object(threading.Thread, "start", refuse):
        yield


def ask(app: Flask, url: str = "/", server: dict[str, Any] = ALONE, method: str = "GET") -> float:
    """Send a request and read its answer to the end; return how many seconds all of it took."""
    began = time.monotonic()
    with (
        no_thread(),
        app.test_client().open(url, method=method, environ_overrides=server, buffered=True) as answer,
    ):
        assert answer.status_code != 503
    return time.monotonic() - began


def later(app: Flask, book: Book) -> None:
    """Do what some minutes would do: passes and looks are long ago."""
    known = send_after_requests.of(app)
    known._rest_until, known._looked_at, known._looked_after_post_at = 0.0, -1000.0, -1000.0
    with database.write(book.engine) as connection:
        connection.execute(Pass.__table__.update().values(started_at=clock.now() - timedelta(minutes=3)))


def test_the_end_of_requests_sends(site: Flask, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_after_requests, "SHORT", 10.0)  # a busy machine may need it
    book = Book(site)
    book.webhook(receiver.url())
    book.publish(3)
    event_id = factories.inbound(factories.source())
    ask(site)
    assert book.statuses() == {"processed": 3}
    assert factories.the(InboundEvent, event_id).status == "processed"
    (one,) = book.passes()
    assert (one.processed, one.finished_at is None) == (3, False)
    book.check()


def test_no_pass_follows_within_a_minute_of_another(site: Flask, receiver: Receiver) -> None:
    book = Book(site)
    book.webhook(receiver.url())
    factories.run_pass()
    book.publish()
    for method in ("GET", "POST"):
        ask(site, method=method)
    assert receiver.requests == []
    later(site, book)
    ask(site)
    assert book.statuses() == {"processed": 1}


def test_an_idle_look_stores_nothing_and_is_the_only(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    book, looks = Book(site), []
    factories.run_pass()
    later(site, book)
    look = whole_pass.wait_for_work
    monkeypatch.setattr(whole_pass, "wait_for_work", lambda *a, **k: looks.append(1) or look(*a, **k))
    for _ in range(5):
        ask(site)
    assert (len(looks), len(book.passes())) == (1, 1)


def test_a_hanging_receiver_costs_half_a_second_and_then_only_a_patient_pass_tries_it(
    site: Flask, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_after_requests, "PATIENT", 4.0)
    book, known = Book(site), send_after_requests.of(site)
    receiver.answer("/never", HANG)
    never = book.webhook(receiver.url("/never"))
    good = book.webhook(receiver.url("/good"))
    book.publish()
    known._patient_at = time.monotonic() + 1000
    took = [ask(site)]
    while not book.attempts() or book.statuses()["processed"] < 1:
        later(site, book)
        took.append(ask(site))
        assert len(took) < 5
    assert max(took) < MUCH_TOO_LONG
    (cut,) = [row for row in book.attempts() if row.error]
    assert "because a web request sent it" in cut.error
    assert [row.webhook_id for row in book.deliveries() if row.status == "new"] == [never]
    assert book.leased() == 0
    book.expire()
    book.publish()
    for _ in range(5):  # a busy machine may need more than one
        later(site, book)
        assert ask(site) < MUCH_TOO_LONG
    assert len(receiver.at("/never")) == 1  # it is known to be slow
    assert len(receiver.event_ids("/good")) == 2
    known._patient_at = 0.0
    later(site, book)
    receiver.answer("/never", Answer(delay=0.6))
    assert ask(site) > 0.5
    assert len(receiver.at("/never")) == 2
    assert good in {row.webhook_id for row in book.deliveries()}
    book.check()


def test_where_others_serve_visitors_an_attempt_has_its_usual_time(site: Flask, receiver: Receiver) -> None:
    book = Book(site)
    receiver.answer("/slow", Answer(delay=0.8))
    book.webhook(receiver.url("/slow"))
    book.publish()
    with site.test_client().open("/", environ_overrides=BUSY_SERVER, buffered=True) as answer:
        assert answer.status_code == 200
    [work] = [thread for thread in threading.enumerate() if thread.name == "short-pass"]
    assert book.statuses() == {"new": 1}
    work.join(60)
    assert book.statuses() == {"processed": 1}


def test_a_pass_that_cannot_be_made_changes_no_answer_and_healthz_tells_of_it(
    site: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    factories.delivery(factories.webhook(), due_at=clock.now() - timedelta(hours=1))

    def fail(*_: object, **__: object) -> None:
        raise OSError("no disk")

    monkeypatch.setattr(whole_pass, "run_short", fail)
    ask(site, "/healthz")  # it is well: its end is going to send
    assert "waits for the next one" in caplog.text
    assert site.test_client().get("/healthz").json["status"] == "cron is late"


def test_beside_a_pass_nothing_is_sent(site: Flask, receiver: Receiver, environ: dict[str, str]) -> None:
    book = Book(site)
    book.webhook(receiver.url())
    book.publish()
    with locks.taken(Path(environ["GUESTBOOK_DATA_DIR"]) / locks.PASS) as held:
        assert held
        assert ask(site) < MUCH_TOO_LONG
        with writing() as session:
            token = cron_token.make(session)
        assert site.test_client().post(f"/cron/{token}").json == {
            "status": "busy",
            "message": health_metrics_pinger.BUSY,
        }
    assert receiver.requests == []


# --- the address for a pinger


@pytest.fixture
def address(app: Flask) -> str:  # noqa: ARG001  it lives in the app's context
    with writing() as session:
        return f"/cron/{cron_token.make(session)}"


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD"])
def test_a_call_sends_what_is_due_and_says_so(
    book: Book, client: FlaskClient, receiver: Receiver, address: str, method: str
) -> None:
    receiver.answer("/bad", Answer(500))
    book.webhook(receiver.url("/good"))
    book.webhook(receiver.url("/bad"))
    book.publish(2)
    with no_thread():
        answer = client.open(address, method=method)
    assert answer.headers["Cache-Control"] == "no-store"
    assert book.statuses() == {"processed": 2, "new": 2}
    if method != "HEAD":
        said = answer.json
        assert said["seconds"] > 0
        assert {**said, "seconds": 0} == {
            "status": "done", "delivered": 2, "to_be_retried": len(receiver.at("/bad")), "given_up": 0,
            "inbound_processed": 0, "inbound_failed": 0, "seconds": 0, "has_more": said["has_more"],
            "problem": None,
        }  # fmt: skip


def test_a_wrong_address_is_unknown_and_its_network_must_wait(client: FlaskClient, address: str) -> None:
    codes = [client.post(f"{address}x").status_code for _ in range(health_metrics_pinger.MOST_WRONG + 1)]
    assert codes == [404] * health_metrics_pinger.MOST_WRONG + [429]
    assert client.get("/cron/né").status_code == 429
    assert client.post(address).status_code == 200


def test_too_many_calls_must_wait(client: FlaskClient, address: str) -> None:
    for _ in range(health_metrics_pinger.MOST_CALLS):
        assert client.post(address).status_code == 200
    answer = client.post(address)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.usefixtures("app")
def test_without_a_token_every_address_is_unknown(client: FlaskClient) -> None:
    assert client.get("/cron/None").status_code == 404


def test_a_second_host_is_one_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environ = settings_for(tmp_path, f"sqlite:///{tmp_path}/guestbook.db")
    with running({**environ, "GUESTBOOK_SEND_AFTER_REQUESTS": "true"}) as app, app.app_context():
        factories.delivery(factories.webhook())
        with monkeypatch.context() as there:
            there.setattr(ids, "host_name", lambda: "web-2")
            there.setattr(ids, "boot_id", lambda: "another-kernel")
            hosts_sharing_sqlite._write(tmp_path / "guestbook.db", hosts_sharing_sqlite.WEB, clock.now())
        ask(app)
        db.session.remove()
    (warned,) = [one for one in caplog.records if one.name == send_after_requests.__name__]
    assert "next one: Two hosts use one SQLite file" in warned.getMessage()
    assert not warned.exc_info


@pytest.fixture
def granted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that each attempt has until it is cut."""
    seconds_of_each: list[float] = []
    post = Transport.post

    def note(self: Transport, *given: Any, seconds: float) -> ReceiverAnswer:
        seconds_of_each.append(seconds)
        return post(self, *given, seconds=seconds)

    monkeypatch.setattr(Transport, "post", note)
    return seconds_of_each


def test_all_attempts_of_a_pass_share_its_time_and_a_receiver_that_hung_gets_none_of_the_next(
    site: Flask, receiver: Receiver, granted: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_after_requests, "SHORT", 2.0)  # in less, a busy machine might begin no attempt
    monkeypatch.setattr(send_after_requests, "PATIENT", 3.0)
    book, known = Book(site), send_after_requests.of(site)
    receiver.answer("/never", HANG)
    webhooks = {book.webhook(receiver.url("/never")) for _ in range(3)}

    def seconds_of_next_request() -> float:
        granted.clear()
        book.publish()
        later(site, book)
        ask(site)
        return sum(granted)

    for hung in range(len(webhooks)):
        known._patient_at = time.monotonic() + 1000
        assert len(known._slow) == hung
        assert 0 < seconds_of_next_request() <= send_after_requests.SHORT
    assert known._slow.keys() == webhooks
    assert seconds_of_next_request() == 0
    known._patient_at = 0.0
    assert 0 < seconds_of_next_request() <= send_after_requests.PATIENT
    assert seconds_of_next_request() == 0  # the next patient pass is ten minutes away
    book.check()

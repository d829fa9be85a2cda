"""Hosts that limit files, memory or threads: all that is sent is recorded, and no receiver is blamed."""

import os
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from guestbook.background.celery.delivery_consumer import DeliveryConsumer
from guestbook.background.celery.messages import Handover
from guestbook.lib import clock
from guestbook.lib.current_process import FILE_LIMIT, MEMORY_LIMIT, THREAD_LIMIT, StopFlag
from guestbook.outbound import attempt_recorder
from guestbook.outbound.attempt_recorder import Tally
from guestbook.storage.models import Webhook
from guestbook.transport.failure import TransportError
from guestbook.transport.http_request_and_redirects import Transport
from tests.conftest import running, settings_for
from tests.support import databases, factories
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.processes import given_away
from tests.support.receiver import Answer, Receiver

HOSTS = 24  # each with connections of its own
EACH = 2


@pytest.fixture
def hosts() -> Iterator[Receiver]:
    """One receiver that all addresses of 127.0.0.0/8 lead to, and that takes its time."""
    with Receiver(address="0.0.0.0") as receiver:
        for number in range(HOSTS):
            receiver.answer(f"/{number}", Answer(delay=0.06))
        yield receiver


@pytest.fixture(params=["sqlite", "sqlite-delete"])
def environ_on_a_file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    with databases.fresh(request.param, tmp_path) as url:
        yield settings_for(tmp_path, url)


def stocked(app: Flask, hosts: Receiver) -> Book:
    book = Book(app)
    for number in range(HOSTS):
        hook = book.webhook(f"http://127.0.0.{number + 1}:{hosts.port}/{number}")
        book.stock(hook, EACH)
    book.engine.dispose()
    return book


POINTS = [
    ("sqlite-delete", "files 20", 32, FILE_LIMIT),
    ("sqlite", "files 40", 32, FILE_LIMIT),
    ("sqlite", "files 64", 256, FILE_LIMIT),
    ("sqlite", f"memory {512_000 * 1024}", 32, None),
    ("sqlite", "threads 4", 32, THREAD_LIMIT),
]


@pytest.mark.parametrize(
    ("environ_on_a_file", "limit", "concurrency", "named"), POINTS, indirect=["environ_on_a_file"]
)
def test_under_a_limit_all_is_sent_once_and_recorded_and_the_limit_is_named(
    environ_on_a_file: dict[str, str],
    limit: str,
    concurrency: int,
    named: str | None,
    hosts: Receiver,
    forks: Forks,
    tmp_path: Path,
) -> None:
    if limit.startswith("threads") and os.geteuid() != 0:
        pytest.skip("needs root, to become a user who runs nothing else")
    with running(environ_on_a_file) as app, app.app_context():
        book = stocked(app, hosts)
        environ = {**environ_on_a_file, **given_away(tmp_path), "GUESTBOOK_TEST_LIMIT": limit}
        done = forks.start(environ, "cron", "--concurrency", str(concurrency), point="limited")
        assert done.wait() == 0, done.printed
        assert Counter(book.statuses()) == {"processed": HOSTS * EACH}
        assert {row.status_code for row in book.attempts()} == {200}
        book.check()
    assert len(hosts.requests) == len({(one.path, one.event_id) for one in hosts.requests}) == HOSTS * EACH
    if named:
        assert done.printed.count("\n") == 1
        assert f"guestbook: this host limits {named}, so the pass used " in done.printed
    else:
        assert done.printed == ""


@pytest.mark.parametrize(
    ("reason", "limit"), [("out_of_sockets", FILE_LIMIT), ("out_of_memory", MEMORY_LIMIT)]
)
def test_a_limit_that_is_met_costs_no_attempt_and_the_pass_goes_on_with_fewer_threads(
    book: Book, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, reason: str, limit: str
) -> None:
    hook = book.webhook(receiver.url("/hook"))
    book.stock(hook, 8)
    real, refused = Transport.post, iter([True, True])

    def post(self: Transport, *values: Any, **options: Any) -> Any:
        if next(refused, False):
            raise TransportError(reason)
        return real(self, *values, **options)

    monkeypatch.setattr(Transport, "post", post)
    tally = factories.run_pass()
    assert tally.host_limit is not None
    assert tally.host_limit.startswith(f"this host limits {limit}, so the pass used ")
    assert (tally.processed, tally.retried, tally.local_error) == (8, 0, None)
    assert {row.attempts for row in book.deliveries()} == {1}
    assert factories.the(Webhook, hook).failures_in_a_row == 0


def test_a_worker_gives_back_what_a_limit_kept_it_from_sending(
    book: Book, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    later = clock.now() + timedelta(minutes=10)
    hook = book.webhook("https://receiver.example/")
    book.stock(hook, 1, claimed_by="relay.x.1", due_at=later)

    def post(*_: object, **_options: object) -> None:
        raise TransportError("out_of_sockets")

    monkeypatch.setattr(Transport, "post", post)
    consumer = DeliveryConsumer(book.engine, book.settings, 4, StopFlag())
    consumer.deliver([Handover(book.delivery().id, "relay.x.1")])
    consumer.finish()
    row = book.delivery()
    assert (row.status, row.attempts, row.claimed_by) == ("new", 0, None)
    assert caplog.messages == [f"This host limits {FILE_LIMIT}: what could not be sent is tried again."]
    assert row.due_at < later
    assert factories.the(Webhook, hook).failures_in_a_row == 0


def test_memory_that_ends_while_a_pass_records_costs_no_second_request(
    book: Book, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.stock(book.webhook(receiver.url("/hook")), 20)
    real, failing = attempt_recorder.record, iter([False, True, False, True])

    def record(*values: Any) -> Tally:
        if next(failing, False):
            raise MemoryError
        return real(*values)

    monkeypatch.setattr(attempt_recorder, "record", record)
    tally = factories.run_pass()
    assert (tally.processed, len(receiver.requests)) == (20, 20)
    assert tally.host_limit is not None
    assert MEMORY_LIMIT in tally.host_limit


def test_openssl_without_memory_is_not_the_receivers_fault(
    book: Book, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.stock(book.webhook(receiver.url("/hook")), 1)

    def digest(*_: object) -> bytes:
        raise ValueError("[digital envelope routines] malloc failure")

    with monkeypatch.context() as patch:
        patch.setattr("guestbook.lib.signatures.hub", digest)
        assert factories.run_pass().local_error is not None
    assert (book.delivery().status, book.delivery().attempts) == ("new", 0)
    assert (factories.run_pass().processed, len(receiver.requests)) == (1, 1)


@contextmanager
def no_file_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    filler = [os.open(os.devnull, os.O_RDONLY) for _ in range(highest)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(filler) + 1, hard))
    try:
        while True:
            filler.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in filler:
            os.close(descriptor)


@pytest.mark.parametrize("host", ["1.1.1.1", "hook.example"])
def test_without_a_socket_left_nothing_is_said_of_an_address_or_a_name(host: str) -> None:
    transport = Transport(timeout=2)
    with no_file_left(), pytest.raises(TransportError) as raised:
        transport.post(f"http://{host}/", {}, b"")
    transport.close()
    assert (raised.value.reason, raised.value.unreachable) == ("out_of_sockets", False)


def test_a_command_without_memory_ends_with_a_sentence_and_75(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("guestbook.background.whole_pass.run", run)
    done = app.test_cli_runner().invoke(args=["cron"])
    assert (done.exit_code, done.stderr) == (
        75,
        "This host's limit on memory (ulimit -v) is too low for this command.\n",
    )

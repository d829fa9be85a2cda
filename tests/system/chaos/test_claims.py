"""Two that claim at once never get the same row; an acknowledgement that comes too late changes nothing."""

import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from guestbook.lib import clock
from guestbook.lib.current_process import StopFlag
from guestbook.outbound.attempt_recorder import Tally
from guestbook.outbound.delivery_dispatcher import Dispatcher
from guestbook.queue import claims
from guestbook.storage import database
from guestbook.storage.models import DELIVERIES
from tests.support.at_once import at_once
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.receiver import HANG, OK, Answer, Receiver

ROUNDS = 100
BATCH = 3  # rows a claim
OUTLASTS = 120.0  # seconds until a request that hangs ends by itself, more than a test takes


@pytest.fixture
def book(each_book: Book) -> Book:
    return each_book


def test_two_threads_that_claim_at_once_get_disjoint_rows_a_hundred_times(
    each_app: Flask, book: Book
) -> None:
    webhook_id = book.webhook("http://127.0.0.1:1/")
    book.stock(webhook_id, 2 * BATCH * ROUNDS)
    together = threading.Barrier(2)

    def claim(number: int) -> dict[str, list[str]]:
        token, rows = f"thread {number}", list[str]()
        for _ in range(ROUNDS):
            together.wait(20)
            rows += _claim(book, webhook_id, token)
        return {token: rows}

    first, second = at_once(each_app, 2, claim)
    got = first | second
    claimed = [row_id for rows in got.values() for row_id in rows]
    assert len(claimed) == len(set(claimed)) == 2 * BATCH * ROUNDS
    for row in book.deliveries():
        assert row.claims == 1
        assert row.id in got[row.claimed_by]


# The test above has the other journal of SQLite, whose locks are all that could differ.
@pytest.mark.parametrize("each_environ", ["sqlite-wal", "postgresql", "mariadb"], indirect=True)
def test_two_passes_that_hold_no_common_lock_send_each_delivery_once(
    book: Book, each_environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    paths = [f"/{number}" for number in range(5)]
    for path in paths:
        receiver.answer(path, Answer(delay=0.1))  # so that a pass that nobody wakes has time to look
        book.webhook(receiver.url(path))
    hosts = [{**each_environ, "GUESTBOOK_DATA_DIR": each_environ["GUESTBOOK_DATA_DIR"] + end} for end in "ab"]
    passes = [forks.start(environ, "cron", "--stay") for environ in hosts]
    for one in passes:
        one.is_at_work()
    events = book.publish(60)
    receiver.wait_for(300)
    for one in passes:
        one.terminate()
        assert one.wait() == 0, one.printed
        assert one.printed == ""
    for path in paths:
        assert receiver.event_ids(path) == Counter(events)
    assert {(row.status, row.claims, row.attempts) for row in book.deliveries()} == {("processed", 1, 1)}
    assert min(one.processed for one in book.passes()) > 0  # both took part
    book.check()


def test_an_acknowledgement_that_comes_after_its_lease_changes_no_row_and_is_counted(
    book: Book, receiver: Receiver
) -> None:
    book.settings = replace(book.settings, timeout=OUTLASTS)
    receiver.answer("/", HANG, OK)
    book.webhook(receiver.url())
    book.publish()
    slow = Background(book)
    receiver.wait_for(1)
    slow.claim_no_more()
    book.expire()
    fast = Background(book)
    assert (fast.tally().processed, fast.tally().late) == (1, 0)
    before, attempts = book.delivery(), book.attempts()
    receiver.release()
    assert (slow.tally().processed, slow.tally().late) == (0, 1)
    assert book.delivery() == before
    assert book.attempts() == attempts
    assert (before.status, before.attempts, before.claims) == ("processed", 1, 2)
    assert len(receiver.requests) == 2


def test_a_late_failure_does_not_take_the_lease_from_its_new_holder(book: Book, receiver: Receiver) -> None:
    book.settings = replace(book.settings, timeout=OUTLASTS)
    receiver.answer("/", HANG)
    book.webhook(receiver.url())
    book.publish()
    first = Background(book)
    receiver.wait_for(1)
    first.claim_no_more()
    book.expire()
    second = Background(book)
    receiver.wait_for(2)
    held = book.delivery()
    receiver.release(Answer(500), most=1)
    assert (first.tally().retried, first.tally().late) == (0, 1)
    assert book.delivery() == held
    receiver.release()
    assert second.tally().processed == 1
    book.check()


class Background:
    """A drain of the outbox in a thread."""

    def __init__(self, book: Book) -> None:
        self._dispatch = Dispatcher(book.engine, book.settings, concurrency=4)
        self._stop = StopFlag()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def claim_no_more(self) -> None:
        """Let it wait for its answer and end; it could claim the row again, whose lease has run out."""
        self._stop.set()

    def tally(self) -> Tally:
        """Wait for its end and return what it has done."""
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self._dispatch.tally

    def _run(self) -> None:
        self._dispatch.run(until=time.monotonic() + 15, stay=False, stop=self._stop)


def _claim(book: Book, webhook_id: str, token: str) -> list[str]:
    now = clock.now()
    with database.write(book.engine) as connection:
        columns = ("id", "sequence")
        rows = claims.claim(connection, DELIVERIES, columns, webhook_id, now=now, limit=BATCH)
        until = now + timedelta(seconds=60)
        leased = claims.lease(connection, DELIVERIES, rows, now=now, until=until, token=token)
        assert leased == {row.id for row in rows}
    return [row.id for row in rows]

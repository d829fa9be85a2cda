"""Webhooks that accept a connection and never answer: however many they are, the others go on."""

import threading
import time
from dataclasses import replace
from functools import partial

from guestbook.lib import clock
from guestbook.lib.current_process import StopFlag
from guestbook.outbound import delivery_tasks
from guestbook.outbound.dispatcher import Dispatcher
from tests.support.book import Book
from tests.support.receiver import HANG, OK, Answer, Receiver

CONCURRENCY = 32


def drain(book: Book) -> None:
    """Send what is due from this process."""
    dispatch = Dispatcher(book.engine, book.settings, concurrency=CONCURRENCY)
    dispatch.run(until=time.monotonic() + 20, stay=False, stop=StopFlag())


def deliver_beside_hanging(book: Book, receiver: Receiver, count: int, **columns: object) -> list[str]:
    """Send to `/`, which has answered before, and to so many that hang. Return the paths in their order."""
    book.settings = replace(book.settings, timeout=6)
    book.webhook(receiver.url())
    book.publish()
    drain(book)
    for number in range(count):
        receiver.answer(f"/hangs{number}", HANG)
        book.webhook(receiver.url(f"/hangs{number}"), **columns)
    book.publish()
    stop = StopFlag()
    dispatch = Dispatcher(book.engine, book.settings, concurrency=CONCURRENCY)
    run = partial(dispatch.run, until=time.monotonic() + 60, stay=False, stop=stop)
    sending = threading.Thread(target=run, daemon=True)
    sending.start()
    receiver.wait_for(2, "/")
    stop.set()
    paths = [request.path for request in receiver.requests[1:]]
    for number in range(count):
        receiver.answer(f"/hangs{number}", OK)
    receiver.release()
    sending.join(30)
    assert not sending.is_alive()
    assert book.leased() == 0
    return paths


def test_any_number_of_webhooks_that_hang_leave_threads_to_one_that_has_answered_before(
    each_book: Book, receiver: Receiver
) -> None:
    paths = deliver_beside_hanging(each_book, receiver, 2 * CONCURRENCY)
    assert "/" in paths[: CONCURRENCY * 3 // 4 + 1], "no time-out was waited for"


def test_webhooks_whose_pauses_end_together_leave_half_of_the_threads_to_the_others(
    book: Book, receiver: Receiver
) -> None:
    """They hang still, and one request probes each."""
    failures = {"unreachable_in_a_row": 6, "failures_in_a_row": 6, "failing_since": clock.now()}
    paths = deliver_beside_hanging(book, receiver, 2 * CONCURRENCY, paused_until=clock.now(), **failures)
    assert "/" in paths[: CONCURRENCY // 2 + 1], "no time-out was waited for"


def test_a_webhook_has_answered_before_if_its_newest_delivery_that_has_ended_says_so(
    each_book: Book, receiver: Receiver
) -> None:
    each_book.settings = replace(each_book.settings, timeout=0.5, retry_schedule=(0,))
    receiver.answer("/hangs", HANG)
    receiver.answer("/fails", Answer(500))
    for path in ("/hangs", "/fails", "/works"):
        each_book.webhook(receiver.url(path), name=path)
    each_book.publish()
    drain(each_book)
    each_book.webhook(receiver.url("/new"), name="/new")
    each_book.publish()
    with each_book.engine.connect() as connection:
        found = {
            row.name: row.answered_before for row in delivery_tasks.open_with_due(connection, clock.now())
        }
    assert {name for name, answered_before in found.items() if answered_before} == {"/fails", "/works"}
    assert len(found) == 4

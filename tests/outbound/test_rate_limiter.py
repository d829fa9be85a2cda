"""Rate limits of webhooks: exact across passes at once, no burden for others, and no delivery is lost."""

import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, update

from guestbook.lib import clock
from guestbook.lib.current_process import StopFlag
from guestbook.outbound import rate_and_time_limits
from guestbook.outbound.attempt_recorder import Tally
from guestbook.outbound.delivery_dispatcher import Dispatcher
from guestbook.outbound.rate_and_time_limits import BEGIN_WITHIN, RateLimiter
from guestbook.storage import database
from guestbook.storage.models import Webhook
from tests.lib.test_rate_counters import window_of_most
from tests.support.book import Book
from tests.support.receiver import Answer, Receiver

AT_ONCE = 0.8  # seconds: a window of one, less what a first request takes on a busy machine


def drain(book: Book, seconds: float = 20, *, stay: bool = False) -> Tally:
    dispatcher = Dispatcher(book.engine, book.settings, concurrency=8)
    return dispatcher.run(until=time.monotonic() + seconds, stay=stay, stop=StopFlag())


def slots_expire(book: Book) -> None:
    with database.write(book.engine) as connection:
        connection.execute(update(Webhook).values(rate_log=None, next_slot_at=None))


# --- exact


@pytest.mark.parametrize("passes", [2, 4])
def test_passes_at_once_begin_no_more_than_the_limit_in_any_second(
    each_book: Book, receiver: Receiver, passes: int
) -> None:
    limited = each_book.webhook(receiver.url("/limited"), rate="4/s")
    each_book.webhook(receiver.url("/free"))
    events = each_book.publish(10)
    # Like those of several machines, without the lock of one data folder between them.
    threads = [threading.Thread(target=drain, args=(each_book,)) for _ in range(passes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    each_book.check()
    assert receiver.event_ids("/limited") == receiver.event_ids("/free") == Counter(events)
    times = [request.at for request in receiver.at("/limited")]
    assert window_of_most(times, AT_ONCE) <= 4
    assert times[-1] - times[0] < 15, "slower than three to four windows"
    attempts = {row.id for row in each_book.deliveries() if row.webhook_id == limited}
    started = [row.started_at.timestamp() for row in each_book.attempts() if row.delivery_id in attempts]
    assert window_of_most(started, 1) <= 4


def test_a_pass_ends_at_the_limit_and_the_rest_stays_due(book: Book, receiver: Receiver) -> None:
    hook = book.webhook(receiver.url(), rate="3/m")
    book.publish(5)
    assert drain(book).processed == 3
    waiting = [row for row in book.deliveries() if row.status == "new"]
    assert [(row.claims, row.claimed_by) for row in waiting] == [(0, None)] * 2
    assert all(row.due_at <= clock.now() for row in waiting)
    opens_in = book.webhook_row(hook).next_slot_at - clock.now()
    assert timedelta(seconds=50) < opens_in < timedelta(seconds=61), "the begin of the attempts counts"
    assert drain(book).processed == 0
    slots_expire(book)
    assert drain(book).processed == 2


def test_retries_and_redeliveries_count_too(book: Book, receiver: Receiver) -> None:
    receiver.answer("/", Answer(500), Answer(500), Answer(200))
    book.webhook(receiver.url(), rate="2/m")
    book.settings = replace(book.settings, retry_schedule=(0.0,) * 9)
    book.publish()
    drain(book)
    assert len(book.attempts()) == 2
    slots_expire(book)
    drain(book)
    assert (book.delivery().status, len(book.attempts())) == ("processed", 3)


def test_other_webhooks_go_on_while_one_is_held_back(book: Book, receiver: Receiver) -> None:
    book.webhook(receiver.url("/limited"), rate="1/m")
    book.webhook(receiver.url("/free"))
    book.publish(50)
    assert drain(book).processed == 51
    assert (len(receiver.at("/limited")), len(receiver.at("/free"))) == (1, 50)


def test_a_pass_sleeps_until_a_slot_that_comes_soon(book: Book, receiver: Receiver) -> None:
    book.webhook(receiver.url(), rate="1/s")
    book.publish(2)
    statements = []
    event.listen(book.engine, "before_cursor_execute", lambda *_: statements.append(1))
    assert drain(book).processed == 2
    first, second = (row.started_at.timestamp() for row in book.attempts())
    assert second - first >= 1
    assert len(statements) < 200, "it looked again and again"


# --- what may go wrong


def test_a_slot_that_is_used_too_late_sends_nothing_and_is_given_back(
    book: Book, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = book.webhook(receiver.url(), rate="1/m")
    book.publish()
    rates = RateLimiter()
    with database.write(book.engine) as connection:
        budgets = rates.open(connection, [hook])
        [slot] = budgets[hook].take(1)
        rates.store(connection, budgets)
    rates.committed()
    assert drain(book).processed == 0
    slot.claimed -= BEGIN_WITHIN + 1
    assert (slot.begin(), slot.begun) == (False, None)
    with database.write(book.engine) as connection:
        rates.store(connection, rates.open(connection, []))
    monkeypatch.setattr(rate_and_time_limits, "BEGIN_WITHIN", -1.0)  # now each slot is used too late
    drain(book, 1)
    assert not receiver.requests
    assert book.delivery().status == "new"
    book.check()


def test_a_row_that_another_pass_has_locked_gets_nothing_now(each_book: Book, receiver: Receiver) -> None:
    if each_book.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    limited = each_book.webhook(receiver.url("/limited"), rate="5/m")
    free = each_book.webhook(receiver.url("/free"))
    each_book.publish()
    other = Dispatcher(each_book.engine, each_book.settings, concurrency=8)
    with database.write(each_book.engine) as connection:
        assert RateLimiter().open(connection, [limited])
        claims = database.write_with_retry(each_book.engine, other.claim)
    assert [webhook_id for webhook_id, tasks, *_ in claims if tasks] == [free]
    assert drain(each_book).processed == 1


def test_a_kill_leaves_the_slots_used_and_loses_nothing(book: Book, receiver: Receiver) -> None:
    book.webhook(receiver.url(), rate="1/m")
    book.publish(2)
    killed = Dispatcher(book.engine, book.settings, concurrency=8)
    database.write_with_retry(book.engine, killed.claim)  # and never sends
    book.expire()
    assert drain(book).processed == 0
    slots_expire(book)
    assert drain(book).processed == 1

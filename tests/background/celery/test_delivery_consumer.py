"""What a worker does with messages, without a broker: it takes rows over, sends, records, and gives back."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Row, Table, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from guestbook.background.celery import delivery_consumer
from guestbook.background.celery.delivery_consumer import WAIT_WHEN_BUSY, DeliveryConsumer, WorkerEnds
from guestbook.background.celery.messages import Handover
from guestbook.lib import clock
from guestbook.lib.current_process import StopFlag
from guestbook.outbound.worker_pool import START_CAP
from guestbook.queue import claims
from guestbook.storage import database
from guestbook.storage.models import DELIVERIES
from tests.conftest import settings_for
from tests.support import databases
from tests.support.book import Book
from tests.support.processes import wait_for
from tests.support.receiver import HANG, OK, Answer, Receiver

THREADS = 8
TOKEN = "relay.test.1"


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A book without a broker, whose requests wait longer than a test does."""
    with databases.with_tables("sqlite-wal", tmp_path) as url:
        yield settings_for(tmp_path, url) | {"GUESTBOOK_TIMEOUT": "120"}


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rows wait for a thread as long as they must: a busy machine gives none back."""
    monkeypatch.setattr(delivery_consumer, "START_WITHIN", 30.0)


def consumer_of(book: Book, stop: StopFlag | None = None) -> DeliveryConsumer:
    return DeliveryConsumer(book.engine, book.settings, THREADS, stop or StopFlag())


def handed_over(book: Book) -> list[Handover]:
    """All deliveries that are not final, leased as a relay does before it publishes them."""
    until, is_new = clock.now() + timedelta(minutes=10), DELIVERIES.c.status == "new"
    with database.write(book.engine) as connection:
        connection.execute(update(DELIVERIES).where(is_new).values(due_at=until, claimed_by=TOKEN))
    return [Handover(row.id, TOKEN) for row in book.deliveries() if row.status == "new"]


def to_webhooks(book: Book, receiver: Receiver, count: int, events: int = 1) -> list[Handover]:
    """The deliveries of so many events to so many webhooks, as a relay has published them."""
    for number in range(count):
        book.webhook(receiver.url(f"/{number}"))
    book.publish(events)
    return handed_over(book)


def refuse_attempts(book: Book, condition: str = "true") -> None:
    """Let the database refuse attempts, all or those of which the condition is true."""
    with database.write(book.engine) as connection:
        connection.exec_driver_sql(
            f"CREATE TRIGGER refuse BEFORE INSERT ON attempts WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )


def waiting_rows(book: Book) -> Sequence[Row[Any]]:
    return [row for row in book.deliveries() if row.status == "new" and row.claimed_by is None]


@pytest.mark.usefixtures("patient")
def test_of_messages_with_the_same_rows_each_row_is_sent_once(each_book: Book, receiver: Receiver) -> None:
    rows, consumer = to_webhooks(each_book, receiver, 3, events=8), consumer_of(each_book)
    with ThreadPoolExecutor(4) as celery:
        list(celery.map(consumer.deliver, (rows[:10], rows, rows[5:], rows[::2])))
    consumer.deliver(rows)
    consumer.finish()
    assert each_book.statuses() == {"processed": 24}
    assert len(receiver.requests) == 24
    assert {(row.claims, row.attempts) for row in each_book.deliveries()} == {(1, 1)}
    each_book.check()


def test_a_row_under_another_token_is_left_alone(book: Book, receiver: Receiver) -> None:
    book.webhook(receiver.url())
    book.publish()
    [row] = handed_over(book)
    before = book.deliveries()
    consumer = consumer_of(book)
    consumer.deliver([Handover(row.id, "relay.test.2")])
    consumer.finish()
    assert book.deliveries() == before
    assert receiver.requests == []


def test_what_fails_waits_by_the_schedule_and_a_webhook_that_is_gone_is_disabled(
    book: Book, receiver: Receiver
) -> None:
    receiver.answer("/0", Answer(500))
    receiver.answer("/1", Answer(410))
    consumer, began = consumer_of(book), clock.now()
    consumer.deliver(to_webhooks(book, receiver, 2))
    consumer.finish()
    assert book.statuses() == {"new": 2}
    for row in book.deliveries():
        reason = book.webhook_row(row.webhook_id).disabled_reason
        assert (row.claimed_by, row.attempts) == (None, 1)
        assert (row.last_status_code, reason) in ((500, None), (410, "gone"))
        assert row.due_at - began > book.settings.retry_schedule[1] * timedelta(seconds=0.5)
    book.check()


def hanging(book: Book, receiver: Receiver, count: int) -> list[Handover]:
    """Deliveries to a receiver that does not answer before it is released."""
    receiver.answer("/", HANG)
    book.webhook(receiver.url())
    book.publish(count)
    return handed_over(book)


@pytest.mark.usefixtures("patient")
def test_rows_that_wait_too_long_for_a_thread_are_given_back_and_do_not_count_as_claimed(
    book: Book, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = consumer_of(book)
    consumer.deliver(hanging(book, receiver, 12))
    receiver.wait_for(START_CAP)
    monkeypatch.setattr(delivery_consumer, "START_WITHIN", 0.0)  # From now on the others wait too long.
    wait_for(lambda: len(waiting_rows(book)) == 12 - START_CAP, 20)
    assert {row.claims for row in waiting_rows(book)} == {0}
    assert max(row.due_at for row in waiting_rows(book)) < clock.now() + WAIT_WHEN_BUSY
    receiver.release()
    consumer.finish()
    assert book.statuses() == {"new": 12 - START_CAP, "processed": START_CAP}
    assert len(receiver.requests) == START_CAP
    book.check()


@pytest.mark.usefixtures("patient")
def test_a_worker_takes_over_no_more_than_a_few_rows_for_each_thread(
    book: Book, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker may send the rest. One more is taken over for each that was answered."""
    most, take_over = delivery_consumer.WAITING_PER_THREAD * THREADS, claims.take_over
    at_once = list[int]()

    def note(connection: Connection, table: Table, row_ids: list[str], **lease: Any) -> None:
        at_once.append(len(row_ids))
        take_over(connection, table, row_ids, **lease)

    monkeypatch.setattr(claims, "take_over", note)
    rows, consumer = hanging(book, receiver, most + 10), consumer_of(book)

    def is_at(answered: int) -> bool:
        taken = sum(one.done() for one in done)
        return (book.statuses().get("processed", 0), taken) == (answered, most + START_CAP + answered)

    with ThreadPoolExecutor(len(rows)) as celery:
        with consumer._lock:  # It takes nothing over before all messages are there.
            done = [celery.submit(consumer.deliver, [row]) for row in rows]
            wait_for(lambda: len(consumer._batches) + consumer._came.qsize() == len(rows))
        for answered in range(4):
            receiver.wait_for(START_CAP + answered)
            wait_for(partial(is_at, answered))
            receiver.release(most=1)
        receiver.release()
    consumer.finish()
    assert at_once[0] == most
    assert book.statuses() == {"processed": most + 10}


@pytest.mark.usefixtures("patient")
def test_any_number_of_webhooks_that_hang_leave_threads_to_one_that_has_answered_before(
    book: Book, receiver: Receiver
) -> None:
    consumer = consumer_of(book)
    consumer.deliver(to_webhooks(book, receiver, 1))
    consumer.finish()
    for number in range(3 * THREADS):
        receiver.answer(f"/hangs{number}", HANG)
        book.webhook(receiver.url(f"/hangs{number}"))
    book.publish()
    consumer = consumer_of(book)
    consumer.deliver(handed_over(book)[::-1])
    receiver.wait_for(2, "/0")
    assert len(receiver.requests) <= 2 + THREADS * 3 // 4, "no time-out was waited for"
    for number in range(3 * THREADS):
        receiver.answer(f"/hangs{number}", OK)
    receiver.release()
    consumer.finish()


@pytest.mark.usefixtures("patient")
def test_a_worker_that_ends_finishes_and_gives_the_rest_back(book: Book, receiver: Receiver) -> None:
    stop = StopFlag()
    rows, consumer = hanging(book, receiver, 12), consumer_of(book, stop)
    consumer.deliver(rows[:10])
    receiver.wait_for(START_CAP)
    stop.set()
    wait_for(lambda: len(waiting_rows(book)) == 10 - START_CAP, 20)
    assert max(row.due_at for row in waiting_rows(book)) <= clock.now()
    with pytest.raises(WorkerEnds):
        consumer.deliver(rows[10:])
    receiver.release()
    consumer.finish()
    assert book.statuses() == {"new": 12 - START_CAP, "processed": START_CAP}
    assert [row.claimed_by for row in book.deliveries() if row.id in dict(rows[10:])] == [TOKEN] * 2


@pytest.mark.usefixtures("patient")
def test_what_was_erased_while_it_waited_for_a_thread_is_not_sent(book: Book, receiver: Receiver) -> None:
    consumer = consumer_of(book)
    consumer.deliver(hanging(book, receiver, 5))
    sent = {request.event_id for request in receiver.wait_for(START_CAP)}
    now = clock.now()
    erased = {"status": "failed", "due_at": None, "claimed_by": None, "finished_at": now, "erased_at": now}
    with database.write(book.engine) as connection:
        others = DELIVERIES.c.event_id.not_in(sent)
        connection.execute(update(DELIVERIES).where(others).values(payload="", **erased))
    wait_for(lambda: not consumer._pool.waiting)
    receiver.release()
    consumer.finish()
    assert len(receiver.requests) == START_CAP


@pytest.mark.usefixtures("patient")
def test_after_a_clock_was_set_forward_nothing_is_sent_under_the_old_leases(
    book: Book, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay sees them end, and publishes the rows again."""
    consumer = consumer_of(book)
    consumer.deliver(hanging(book, receiver, 5))
    receiver.wait_for(START_CAP)
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(hours=1))
    receiver.release()
    consumer.finish()
    assert len(receiver.requests) == START_CAP
    assert len(waiting_rows(book)) == 5 - START_CAP


def test_a_row_that_cannot_be_recorded_does_not_stop_the_others(
    book: Book, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    [bad, *good] = rows = to_webhooks(book, receiver, 4)
    refuse_attempts(book, f"new.delivery_id = '{bad.id}'")
    consumer = consumer_of(book)
    consumer.deliver(rows)
    consumer.finish()
    assert book.statuses() == {"new": 1, "processed": len(good)}
    [row] = [row for row in book.deliveries() if row.status == "new"]
    assert (row.id, row.attempts) == (bad.id, 0)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "The outcome of a delivery could not be recorded. It is sent again later."
    ]


def test_a_worker_whose_outcomes_are_refused_takes_nothing_over(book: Book, receiver: Receiver) -> None:
    rows, consumer = to_webhooks(book, receiver, 4, events=6), consumer_of(book)
    refuse_attempts(book)
    consumer.deliver(rows[:12])
    wait_for(lambda: len(consumer._outcomes) > 1 and not consumer._pool.busy, 20)
    sent = len(receiver.requests)
    with pytest.raises(IntegrityError, match="refused"):
        consumer.deliver(rows[12:])
    assert 1 < len(receiver.requests) == sent <= 12
    with database.write(book.engine) as connection:
        connection.exec_driver_sql("DROP TRIGGER refuse")
    wait_for(lambda: book.statuses().get("processed", 0) >= sent - 1, 20)
    book.check()


@pytest.mark.parametrize("each_environ", ["postgresql"], indirect=True)
def test_what_was_sent_without_the_database_is_recorded_later(each_book: Book, receiver: Receiver) -> None:
    each_book.settings = replace(each_book.settings, timeout=120)
    rows = hanging(each_book, receiver, 6)
    receiver.answer("/", *[HANG] * START_CAP, OK)
    consumer = consumer_of(each_book)
    consumer.deliver(rows[:-1])
    receiver.wait_for(START_CAP)
    with databases.letting_nobody_in(each_book.engine):
        receiver.release()
        with pytest.raises(DBAPIError):
            consumer.deliver(rows[-1:])
    wait_for(lambda: each_book.statuses()["processed"] == len(receiver.requests), 60)
    assert each_book.statuses()["new"] == 6 - len(receiver.requests)
    assert {row.claimed_by for row in each_book.deliveries()} == {None, TOKEN}, (
        "the last one was not taken over"
    )
    each_book.check()

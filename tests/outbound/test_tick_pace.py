"""The pace of a pass: it waits while its threads send, and its ticks are small while visitors write."""

import time
from collections.abc import Iterator, Sequence
from unittest.mock import Mock, call

import pytest
from flask import Flask
from sqlalchemy import Connection

from guestbook.lib import unit_of_work
from guestbook.lib.own_process import StopFlag
from guestbook.outbound import attempt_recorder
from guestbook.outbound.attempt_recorder import Tally
from guestbook.outbound.delivery_tasks import Outcome
from guestbook.outbound.dispatcher import (
    LEAST_PAUSE,
    SMALL_FOR,
    SMALL_TICK,
    STEP_BACK,
    TICK_PAUSE,
    ClaimedTasks,
    Dispatcher,
    TickPace,
)
from guestbook.outbound.worker_pool import WorkerPool
from guestbook.queue.poller import Poller
from guestbook.settings import Settings
from tests.support import inbound_factories
from tests.support.book import Book
from tests.support.receiver import Receiver

TOOK = 0.5  # seconds for which the last tick held the lock
USUAL = TICK_PAUSE - LEAST_PAUSE  # seconds for which threads that have work send on


@pytest.fixture
def pool() -> Mock:
    return Mock(spec=WorkerPool)


@pytest.fixture
def pace(each_book: Book, pool: Mock) -> Iterator[TickPace]:
    with Poller(each_book.engine) as poller:
        yield TickPace(poller, pool)


def rest(pace: TickPace, stop: StopFlag | None = None, *, owed: float = 0.0) -> None:
    """Wait until the next tick; the pool is a mock, so this takes little time."""
    pace.let_threads_send(stop or StopFlag(), owed=owed, outcome_wait=0.25, tick_took=TOOK)


def is_small(each_book: Book) -> bool:
    """Whether ticks are small here while visitors write: a server has a lock for each row."""
    return each_book.engine.dialect.name == "sqlite"


def test_the_threads_get_the_usual_time_or_more_if_it_is_owed(pace: TickPace, pool: Mock) -> None:
    rest(pace)
    assert pool.wait_while_sending.mock_calls == [call(USUAL)]
    rest(pace, owed=0.3)
    assert pool.wait_while_sending.mock_calls[1:] == [call(0.3 - LEAST_PAUSE)]
    assert pool.wait.mock_calls == [call(0.25)] * 2
    assert pool.limit_ticks.mock_calls == [call(None)] * 2, "nobody else writes"


def test_they_get_more_if_somebody_has_written_meanwhile(each_book: Book, pace: TickPace, pool: Mock) -> None:
    pool.wait_while_sending.side_effect = lambda seconds: seconds == USUAL and each_book.note_passes()
    rest(pace)
    more = [call(STEP_BACK * TOOK)] if is_small(each_book) else []
    assert pool.wait_while_sending.mock_calls == [call(USUAL), *more]
    assert pool.limit_ticks.mock_calls == [call(None)], "another pass is no visitor"


def test_a_pass_that_is_to_stop_waits_for_nothing_more(each_book: Book, pace: TickPace, pool: Mock) -> None:
    stop = StopFlag()

    def end(_seconds: float) -> None:
        each_book.note_passes()
        stop.set()

    pool.wait_while_sending.side_effect = end
    rest(pace, stop)
    assert pool.wait_while_sending.mock_calls == [call(USUAL)]
    assert not pool.wait.mock_calls


@pytest.mark.parametrize("visitor", ["signs", "posts a webhook"])
def test_ticks_are_small_for_a_while_after_a_visitor_has_written(
    visitor: str,
    each_app: Flask,
    each_book: Book,
    pace: TickPace,
    pool: Mock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if visitor == "signs":
        each_book.sign()
    else:
        inbound_factories.source()
        inbound_factories.post(each_app.test_client(), {"text": "Hello"})
    now = time.monotonic()
    for later in 0, SMALL_FOR / 2, SMALL_FOR:
        monkeypatch.setattr(time, "monotonic", lambda: now + later)  # noqa: B023  it is called at once
        rest(pace)
    assert pool.limit_ticks.mock_calls == [call(SMALL_TICK if is_small(each_book) else None)] * 2 + [
        call(None)
    ]


def test_a_comment_of_a_clock_that_ran_ahead_hides_no_later_one(
    book: Book, pool: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_of_work, "new_id", lambda: "f" * 32)
    book.sign()
    monkeypatch.undo()
    with Poller(book.engine) as poller:
        pace = TickPace(poller, pool)
        rest(pace)
        book.sign()
        rest(pace)
    assert pool.limit_ticks.mock_calls == [call(None), call(SMALL_TICK)]


def test_a_pass_records_and_claims_little_at_once_while_visitors_write(
    book: Book, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        book.stock(book.webhook(receiver.url(f"/{number}"), events="comment.deleted"), 200)
    recorded, claimed = list[int](), list[int]()
    record, claim = attempt_recorder.record, Dispatcher.claim

    def count_record(connection: Connection, outcomes: Sequence[Outcome], settings: Settings) -> Tally:
        recorded.append(len(outcomes))
        return record(connection, outcomes, settings)

    def count_claim(self: Dispatcher, connection: Connection) -> list[ClaimedTasks]:
        claims = claim(self, connection)
        claimed.append(sum(len(one.tasks) for one in claims))
        return claims

    monkeypatch.setattr(attempt_recorder, "record", count_record)
    monkeypatch.setattr(Dispatcher, "claim", count_claim)
    dispatch = Dispatcher(book.engine, book.settings, concurrency=32)
    dispatch.run(until=time.monotonic() + 30, stay=False, stop=StopFlag(), after_tick=lambda: book.sign())
    assert book.statuses() == {"processed": 800}
    assert sum(recorded) == sum(claimed) == 800
    assert max(recorded) <= SMALL_TICK
    assert max(claimed) <= SMALL_TICK

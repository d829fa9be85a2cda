"""Events go through the broker: signed, relayed, taken over, sent once; and what is given back or held up."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from guestbook.lib import clock
from guestbook.storage import database
from guestbook.storage.models import Webhook
from tests.background.celery.works import DELIVERIES, INBOX, Works
from tests.lib.test_rate_counters import window_of_most
from tests.support import factories
from tests.support.measure import quickest
from tests.support.processes import free_port, wait_for
from tests.support.receiver import HANG, Answer, Receiver

pytestmark = pytest.mark.needs("rabbitmq")
EVERYWHERE = pytest.mark.parametrize("environ", ["sqlite-wal", "postgresql", "mariadb"], indirect=True)
ROWS_PER_MESSAGE = 8  # of the 64 that eight webhooks let a relay publish at first
ONCE = pytest.mark.parametrize("environ", ["sqlite-wal"], indirect=True)  # the database makes no difference


# --- the whole way


@EVERYWHERE
def test_a_comment_goes_through_the_broker_to_its_receiver_once(works: Works, receiver: Receiver) -> None:
    works.book.webhook(receiver.url())
    works.book.sign("Grüße 🎈")
    assert works.vhost.depth(DELIVERIES) == 0, "signing has spoken to the broker"
    assert works.relay().printed == ""
    assert works.vhost.depth(DELIVERIES) == 1
    waiting = works.book.delivery()
    assert waiting.claimed_by.startswith("relay.")
    assert timedelta(minutes=9) < waiting.due_at - clock.now() < timedelta(minutes=11)
    with works.worker():
        works.wait_until_final(1)
        wait_for(lambda: works.vhost.depth(DELIVERIES) == 0, 10, works.show)
    works.book.check()
    row = works.book.delivery()
    assert (row.status, row.attempts, row.last_status_code) == ("processed", 1, 200)
    [attempt] = works.book.attempts()
    assert (attempt.number, attempt.triggered_by, attempt.status_code) == (1, "schedule", 200)
    [request] = receiver.requests
    assert request.json["data"]["comment"]["message"] == "Grüße 🎈"
    assert request.event_id == row.event_id


@EVERYWHERE
def test_what_comes_in_goes_through_the_broker_and_becomes_one_comment(works: Works) -> None:
    source_id = factories.source(action="comment", template="{{ payload.text }}")
    event_id = factories.inbound(source_id, payload='{"text": "Hello from afar"}')
    works.relay()
    assert works.vhost.depth(INBOX) == 1
    with works.worker():
        wait_for(
            lambda: factories.the(factories.InboundEvent, event_id).status == "processed", 20, works.show
        )
        wait_for(lambda: works.vhost.depth(INBOX) == 0, 10, works.show)
    event = factories.the(factories.InboundEvent, event_id)
    assert (event.attempts, event.claimed_by, event.error) == (1, None, None)
    assert factories.the(factories.Comment, event.comment_id).message == "Hello from afar"


def test_hundreds_go_through_each_once_in_silence(works: Works, receiver: Receiver) -> None:
    paths = works.webhooks(receiver, 4)
    with works.staying_relay() as staying, works.worker() as first, works.worker() as second:
        events = works.book.publish(50)
        works.wait_until_final(200)
    assert staying.printed == ""
    assert first.complaints == second.complaints == []
    for path in paths:
        assert receiver.event_ids(path) == Counter(events)
    works.book.check()
    assert {row.attempts for row in works.book.deliveries()} == {1}


@pytest.mark.parametrize("environ", ["postgresql"], indirect=True)
@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_other_pools_work_too(works: Works, receiver: Receiver, pool: str) -> None:
    paths = works.webhooks(receiver, 2)
    events = works.book.publish(8)
    works.relay()
    with works.staying_relay(), works.worker(2, pool) as worker:
        works.wait_until_final(16)
        worker.stop()
    assert worker.complaints == []
    for path in paths:
        assert receiver.event_ids(path) == Counter(events)
    works.book.check()


@ONCE
def test_a_failed_attempt_is_retried_by_the_schedule(works: Works, receiver: Receiver) -> None:
    receiver.answer("/", Answer(500), Answer(200))
    works.book.webhook(receiver.url())
    works.book.publish()
    works.relay()
    with works.worker(RETRY_SCHEDULE="0,300"):
        wait_for(lambda: works.book.delivery().attempts == 1, 20, works.show)
        row = works.book.delivery()
        assert (row.status, row.claimed_by, row.last_status_code) == ("new", None, 500)
        assert timedelta(minutes=3) < row.due_at - clock.now() < timedelta(minutes=7)
        works.relay()
        assert works.book.delivery() == row, "relayed before its time"
        factories.all_due()
        works.relay()
        works.wait_until_final(1)
    assert [attempt.status_code for attempt in works.book.attempts()] == [500, 200]
    works.book.check()


@ONCE
def test_what_is_given_up_here_is_told_by_the_next_relay(works: Works, receiver: Receiver) -> None:
    receiver.answer("/", Answer(500))
    webhook_id = works.book.webhook(receiver.url(), name="Chat")
    works.book.publish(2)
    works.relay()
    with works.worker(RETRY_SCHEDULE="0"):
        wait_for(lambda: works.book.statuses() == {"failed": 2}, 20, works.show)
    [line] = works.relay().printed.splitlines()
    assert line.startswith("guestbook: 2 deliveries were given up for webhook Chat. ")
    assert webhook_id in line
    assert works.relay().printed == "", "told twice"
    works.book.check()


# --- given back


CLOSED: dict[str, Callable[[], dict[str, object]]] = {
    "disabled": lambda: {"disabled_at": clock.now(), "disabled_reason": "by_hand"},
    "paused": lambda: {"paused_until": clock.now() + timedelta(hours=1)},
}


@ONCE
@pytest.mark.parametrize("closed", CLOSED)
def test_what_a_closed_webhook_has_in_the_queue_is_given_back_and_goes_out_when_it_opens(
    works: Works, receiver: Receiver, closed: str
) -> None:
    webhook_id = works.book.webhook(receiver.url())
    works.book.publish(3)
    works.relay()
    _set(webhook_id, **CLOSED[closed]())
    with works.worker():
        wait_for(lambda: works.book.leased() == 0, 20, works.show)
        assert max(row.due_at for row in works.book.deliveries()) <= clock.now()
        assert {(row.attempts, row.claimed_by) for row in works.book.deliveries()} == {(0, None)}
        wait_for(lambda: works.vhost.depth(DELIVERIES) == 0, 10, works.show)
        works.relay()
        assert works.vhost.depth(DELIVERIES) == works.book.leased() == 0
        assert receiver.requests == []
        _set(webhook_id, **dict.fromkeys(CLOSED[closed](), None))
        works.relay()
        works.wait_until_final(3)
    assert len(receiver.requests) == 3
    works.book.check()


@ONCE
def test_a_webhook_that_is_gone_is_disabled_by_the_worker(works: Works, receiver: Receiver) -> None:
    receiver.answer("/", Answer(410))
    webhook_id = works.book.webhook(receiver.url())
    works.book.publish()
    works.relay()
    with works.worker():
        wait_for(lambda: works.book.webhook_row(webhook_id).disabled_reason == "gone", 20, works.show)
    works.book.check()


@ONCE
def test_what_our_own_proxy_refuses_is_due_again_soon_and_counts_as_no_attempt(
    works: Works, receiver: Receiver
) -> None:
    works.book.webhook(receiver.url())
    works.book.publish(2)
    works.relay()
    with works.worker(OUTBOUND_PROXY=f"http://127.0.0.1:{free_port()}") as worker:
        wait_for(lambda: works.book.leased() == 0, 20, works.show)
        wait_for(lambda: worker.complaints, 10, works.show)
    for row in works.book.deliveries():
        assert (row.status, row.attempts, row.claimed_by) == ("new", 0, None)
        assert timedelta(0) < row.due_at - clock.now() < timedelta(minutes=1)
    works.book.check()


@ONCE
def test_one_webhook_that_hangs_does_not_hold_up_the_others(works: Works, receiver: Receiver) -> None:
    """It was quick before; `test_first_messages` has one that hangs from the start."""
    never = works.book.webhook(receiver.url("/never"))
    works.book.webhook(receiver.url("/fast"))
    receiver.answer("/fast", Answer(delay=0.05))
    with works.staying_relay(), works.worker(32):
        alone = _seconds_for(works, receiver, 100)
        receiver.answer("/never", HANG)
        beside = quickest(lambda: _seconds_for(works, receiver, 100), 2 * alone)
        assert beside < 2 * alone
        assert receiver.most_at_once("/never") <= 8, "more than a quarter of the threads"
        held_up = [row for row in works.book.deliveries() if row.webhook_id == never]
        assert sum(row.claims for row in held_up) < 2 * len(held_up), "sent to and fro without an end"
        receiver.answer("/never", Answer())
        receiver.release()
        works.wait_until_final(len(works.book.deliveries()))
    works.book.check()


def _seconds_for(works: Works, receiver: Receiver, count: int) -> float:
    before = len(receiver.at("/fast"))
    works.book.publish(count)
    begun = time.monotonic()
    receiver.wait_for(before + count, "/fast")
    return time.monotonic() - begun


# --- the worker's end


@pytest.mark.parametrize("environ", ["postgresql"], indirect=True)
def test_sigterm_ends_a_worker_after_what_it_has_begun_and_the_rest_goes_to_others(
    works: Works, receiver: Receiver
) -> None:
    for path in works.webhooks(receiver, 8):
        receiver.answer(path, Answer(delay=0.3))
    events = works.book.publish(8)  # which the relay publishes in as many messages
    works.relay()
    worker = works.start_worker(4)
    receiver.wait_for(4)
    worker.stop()
    works.book.check()
    rows = works.book.deliveries()
    rest = [row for row in rows if row.status == "new"]
    assert 0 < len(rest) < len(rows)
    assert len(receiver.requests) == len(works.book.attempts()) == len(rows) - len(rest)
    waiting = [row for row in rest if row.claimed_by]
    given_back = [row for row in rest if not row.claimed_by]
    assert all(row.claimed_by.startswith("relay.") for row in waiting)
    assert works.vhost.depth(DELIVERIES) == len(waiting) / ROWS_PER_MESSAGE
    assert given_back
    assert all(row.due_at <= clock.now() and not row.claims for row in given_back)
    with works.staying_relay(), works.worker(16):
        works.wait_until_final(64)
    assert Counter(request.event_id for request in receiver.requests) == dict.fromkeys(events, 8)


def _set(webhook_id: str, **values: object) -> None:
    with database.writing() as session:
        session.execute(update(Webhook).where(Webhook.id == webhook_id).values(**values))


@ONCE
def test_workers_keep_the_rate_limit_of_a_webhook(works: Works, receiver: Receiver) -> None:
    works.book.webhook(receiver.url(), rate="2/s")
    works.book.publish(5)
    with works.staying_relay(), works.worker(), works.worker():
        works.wait_until_final(5)
    works.book.check()
    begun = [row.started_at.timestamp() for row in works.book.attempts()]
    assert len(begun) == 5
    assert window_of_most(begun, 1) <= 2

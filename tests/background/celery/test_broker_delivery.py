"""Events go through the broker: signed, relayed, taken over, sent once; and what is given back or held up."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from guestbook.lib import clock, ids
from guestbook.storage import database, schema_version
from guestbook.storage.models import INBOUND, Webhook
from tests.background.celery.works import DELIVERIES, INBOX, ON_THREE, Works
from tests.lib.test_rate_counters import window_of_most
from tests.support import factories
from tests.support.processes import free_port, quickest, wait_for
from tests.support.receiver import HANG, Answer, Receiver

OLDER = "The tables are older than the program."
ROWS_PER_MESSAGE = 8  # of the 64 that eight webhooks let a relay publish at first


# --- the whole way


@ON_THREE
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
        works.wait_until_empty()
    works.book.check()
    row = works.book.delivery()
    assert (row.status, row.attempts, row.last_status_code) == ("processed", 1, 200)
    [attempt] = works.book.attempts()
    assert (attempt.number, attempt.triggered_by, attempt.status_code) == (1, "schedule", 200)
    [request] = receiver.requests
    assert request.json["data"]["comment"]["message"] == "Grüße 🎈"
    assert request.event_id == row.event_id


@ON_THREE
def test_what_comes_in_goes_through_the_broker_and_becomes_one_comment(works: Works) -> None:
    source_id = factories.source(action="comment", template="{{ payload.text }}")
    factories.inbound(source_id, payload='{"text": "Hello from afar"}')
    works.relay()
    assert works.vhost.depth(INBOX) == 1
    with works.worker():
        wait_for(lambda: factories.inbound_events()[0].status == "processed", 20, works.show)
        works.wait_until_empty()
    [event] = factories.inbound_events()
    assert (event.attempts, event.claimed_by, event.error) == (1, None, None)
    assert factories.the(factories.Comment, event.comment_id).message == "Hello from afar"


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


@pytest.mark.parametrize("closed", CLOSED)
def test_what_a_closed_webhook_has_in_the_queue_is_given_back_and_goes_out_when_it_opens(
    works: Works, receiver: Receiver, closed: str
) -> None:
    webhook_id = works.published(receiver, 3)
    _set(webhook_id, **CLOSED[closed]())
    with works.worker():
        wait_for(lambda: works.book.leased() == 0, 20, works.show)
        assert max(row.due_at for row in works.book.deliveries()) <= clock.now()
        assert {(row.attempts, row.claimed_by) for row in works.book.deliveries()} == {(0, None)}
        works.wait_until_empty()
        works.relay()
        assert works.vhost.depth(DELIVERIES) == works.book.leased() == 0
        assert receiver.requests == []
        _set(webhook_id, **dict.fromkeys(CLOSED[closed](), None))
        works.relay()
        works.wait_until_final(3)
    assert len(receiver.requests) == 3
    works.book.check()


def test_what_our_own_proxy_refuses_is_due_again_and_no_attempt(works: Works, receiver: Receiver) -> None:
    works.published(receiver, 2)
    with works.worker(OUTBOUND_PROXY=f"http://127.0.0.1:{free_port()}") as worker:
        wait_for(lambda: works.book.leased() == 0, 20, works.show)
        wait_for(lambda: worker.complaints, 10, works.show)
    for row in works.book.deliveries():
        assert (row.status, row.attempts, row.claimed_by) == ("new", 0, None)
        assert timedelta(0) < row.due_at - clock.now() < timedelta(minutes=1)
    works.book.check()


def test_one_webhook_that_hangs_does_not_hold_up_the_others(works: Works, receiver: Receiver) -> None:
    """It was quick before; `test_delivery_consumer` has some that hang from the start."""
    never = works.book.webhook(receiver.url("/never"))
    works.book.webhook(receiver.url("/fast"))
    receiver.answer("/fast", Answer(delay=0.05))
    with works.staying_relay(), works.worker(32, TIMEOUT="120"):  # What hangs does so until it is released.
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
def test_sigterm_lets_a_worker_end_what_it_has_begun(works: Works, receiver: Receiver) -> None:
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


def test_workers_keep_the_rate_limit_of_a_webhook(works: Works, receiver: Receiver) -> None:
    works.book.webhook(receiver.url(), rate="2/s")
    works.book.publish(5)
    with works.staying_relay(), works.worker(), works.worker():
        works.wait_until_final(5)
    works.book.check()
    begun = [row.started_at.timestamp() for row in works.book.attempts()]
    assert len(begun) == 5
    assert window_of_most(begun, 1) <= 2


# --- beside ordinary passes, and before an upgrade


@ON_THREE
def test_two_relays_a_worker_and_a_pass_send_each_delivery_once(works: Works, receiver: Receiver) -> None:
    paths = works.webhooks(receiver, 4)
    for path in paths:
        receiver.answer(path, Answer(delay=0.005))
    elsewhere = works.environ["GUESTBOOK_DATA_DIR"] + "-elsewhere"
    staying = [
        works.start_relay("--stay"),
        works.start_relay("--stay", DATA_DIR=elsewhere),
        works.forks.start(works.environ, "cron", "--stay"),
    ]
    # Before they have begun, SIGTERM would end one at once.
    wait_for(lambda: len(works.book.passes()) == len(staying), 60, works.show)
    with works.worker(16) as worker:
        events = [event for _ in range(5) for event in works.book.publish(10)]
        works.wait_until_final(200)
        assert worker.complaints == []
    for one in staying:
        one.terminate()
        assert one.wait() == 0, one.printed
        assert one.printed == ""
    for path in paths:
        assert receiver.event_ids(path) == Counter(events)
    works.book.check()


@pytest.mark.parametrize("environ", ["postgresql"], indirect=True)
def test_what_waits_in_the_queue_is_left_alone_by_the_ordinary_pass_and_by_another_relay(
    works: Works, receiver: Receiver
) -> None:
    works.published(receiver, 5)
    waiting = works.book.deliveries()
    works.forks.run(works.environ, "cron")
    works.forks.run(works.environ, "cron")
    works.relay(DATA_DIR=works.environ["GUESTBOOK_DATA_DIR"] + "-elsewhere")
    assert works.book.deliveries() == waiting
    assert (len(receiver.requests), works.vhost.depth(DELIVERIES)) == (0, 5)
    with works.worker():
        works.wait_until_final(5)
    assert len(receiver.requests) == 5


def test_a_full_inbox_holds_up_no_delivery(works: Works, receiver: Receiver) -> None:
    source_id = factories.source()
    now = clock.now()
    plain = {"source_id": source_id, "headers": {}, "payload": "{}", "encoding": "text", "status": "new"}
    numbers = {"attempts": 0, "claims": 0, "due_at": now, "received_at": now}
    with database.write(works.book.engine) as connection:
        connection.execute(insert(INBOUND), [{"id": ids.new(), **plain, **numbers} for _ in range(2000)])
    works.book.webhook(receiver.url())
    with works.staying_relay(), works.worker(8):
        wait_for(lambda: waiting(works) < 1900, 60, works.show)
        works.book.publish(10)
        works.wait_until_final(10)
        assert waiting(works) > 500


def waiting(works: Works) -> int:
    """How much of the inbox nobody has worked through."""
    with works.book.engine.connect() as connection:
        return connection.scalar(select(func.count()).where(INBOUND.c.status == "new")) or 0


def test_a_worker_returns_messages_until_the_book_is_upgraded(works: Works, receiver: Receiver) -> None:
    works.book.webhook(receiver.url())
    works.book.publish()
    factories.inbound(factories.source(action="log"))
    works.relay()
    queues = (DELIVERIES, INBOX)
    messages = {queue: works.take_messages(1, queue) for queue in queues}
    with works.worker(concurrency=2) as worker:
        _set_version(works, "0024")
        for queue, taken in messages.items():
            works.vhost.put(queue, *taken)
        # The worker logs the sentence a fourth time only when one of the two messages has come twice.
        wait_for(lambda: worker.output.count(OLDER) >= 4, 60, works.show)
        assert [works.vhost.depth(queue) for queue in queues] == [1, 1]
        assert receiver.requests == []
        assert "Traceback" not in worker.output, worker.output
        _set_version(works, schema_version.head())
        works.wait_until_final(1)
        works.wait_until_empty()
    assert len(receiver.requests) == 1
    assert [event.status for event in factories.inbound_events()] == ["processed"]
    works.book.check()


def _set_version(works: Works, version: str) -> None:
    with database.write(works.book.engine) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")


def _set(webhook_id: str, **values: object) -> None:
    with database.writing() as session:
        session.execute(update(Webhook).where(Webhook.id == webhook_id).values(**values))

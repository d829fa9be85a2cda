"""The broker is away, dies or falls silent: the relay says so, and the ordinary pass takes over."""

import time
from datetime import timedelta

import amqp
import pytest

from guestbook.lib import clock
from tests.background.celery import wire
from tests.background.celery.works import DELIVERIES, ON_TWO, Works
from tests.support import databases, factories
from tests.support.processes import wait_for
from tests.support.receiver import HANG, OK, Receiver

AWAY_FOR = 2.0  # seconds
WAIT_BEFORE_RETURN = 2.0  # seconds, in the worker
LETTERS = "letters"  # a queue of nobody's
PATIENCE = 40  # seconds after which a relay has given up a broker that says nothing


def test_without_a_broker_the_relay_says_so_and_a_pass_takes_over(works: Works, receiver: Receiver) -> None:
    away = works.broker_that_is_away
    works.book.sign()  # to which the broker makes no difference
    _says_that_the_broker_is_away(works.relay(code=75, BROKER_URL=away).printed)
    works.book.webhook(receiver.url())
    works.book.publish(5)
    factories.inbound(factories.source(action="log"))
    before = works.book.deliveries()
    _says_that_the_broker_is_away(works.relay(code=75, BROKER_URL=away).printed)
    _says_that_the_broker_is_away(works.relay("--stay", code=75, BROKER_URL=away).printed)
    after = works.book.deliveries()
    assert [(row.due_at, row.claimed_by) for row in after] == [(row.due_at, None) for row in before]
    assert works.forks.run(works.with_settings(BROKER_URL=away), "cron").printed == ""
    assert works.book.statuses() == {"processed": 5}
    assert [event.status for event in factories.inbound_events()] == ["processed"]
    assert len(receiver.requests) == 5
    works.book.check()


@ON_TWO
def test_a_broker_that_dies_under_a_relay_that_stays_is_told_and_all_that_waits_goes_out_later(
    works: Works, receiver: Receiver
) -> None:
    """The wire is cut for good, which is the same to a relay. `test_kills` kills the broker itself."""
    works.book.webhook(receiver.url())
    with wire.laid(works.vhost.node.port) as to_broker:
        staying = works.start_relay("--stay", BROKER_URL=to_broker.url(works.vhost.url))
        works.book.publish(2)
        wait_for(lambda: works.vhost.depth(DELIVERIES) == 2, 10, lambda: staying.printed)
    works.book.publish(3)
    assert staying.wait() == 75, staying.printed
    _says_that_the_broker_is_away(staying.printed)
    # The broker may have confirmed none of the two: then they are given back with the three.
    assert sum(row.claimed_by is None for row in works.book.deliveries()) >= 3
    with works.worker():
        works.relay()
        works.wait_until_final(5)
    assert len(receiver.requests) == 5
    works.book.check()


@pytest.mark.parametrize("there", [300, 4_000])
def test_what_was_not_confirmed_when_the_wire_was_cut_is_due_again_at_once(
    works: Works, receiver: Receiver, there: int
) -> None:
    works.webhooks(receiver, 8)
    works.book.publish(7)
    with wire.laid(works.vhost.node.port, there=there) as cut:
        said = works.relay(code=75, BROKER_URL=cut.url(works.vhost.url))
        assert cut.is_broken
    _says_that_the_broker_is_away(said.printed)
    _each_arrives_once(works, receiver, 56)


@pytest.mark.parametrize("back", [1, 700])  # when it is connected to, and in the middle of publishing
def test_a_broker_that_falls_silent_is_given_up(works: Works, receiver: Receiver, back: int) -> None:
    works.webhooks(receiver, 8)
    works.book.publish(7)
    with wire.laid(works.vhost.node.port, back=back, cuts=False) as silent:
        said = works.start_relay(BROKER_URL=silent.url(works.vhost.url))
        assert said.wait(PATIENCE) == 75, said.printed
        assert silent.is_broken
    _says_that_the_broker_is_away(said.printed)
    _each_arrives_once(works, receiver, 56)


def test_a_worker_outlives_its_broker_and_sends_nothing_twice(works: Works, receiver: Receiver) -> None:
    """The broker is killed and started again; what is persistent in a durable queue is there still."""
    receiver.answer("/", HANG, HANG, OK)
    works.published(receiver, 2)
    with works.worker(TIMEOUT="120") as worker:  # The requests that hang outlast the broker's end.
        receiver.wait_for(2)
        with works.vhost.channel() as channel:
            channel.queue_declare(LETTERS, durable=True, auto_delete=False)
        works.vhost.put(LETTERS, amqp.Message("kept", delivery_mode=2), amqp.Message("lost", delivery_mode=1))
        works.vhost.node.kill()
        with pytest.raises(OSError, match="refused"):
            works.vhost.depth(LETTERS)
        receiver.release()
        works.wait_until_final(2)
        works.vhost.node.start()
        assert works.vhost.depth(LETTERS) == 1
        kept = works.vhost.take(LETTERS)
        assert kept
        assert kept.body == "kept"
        works.book.publish()
        works.relay()  # the broker has the first two messages still, for nobody could acknowledge them
        works.wait_until_final(3)
        works.wait_until_empty()
    assert len(receiver.requests) == 3
    assert "Traceback" not in worker.output
    works.book.check()


# --- the database is away


@pytest.mark.parametrize("environ", ["postgresql"], indirect=True)
def test_a_worker_whose_database_is_away_does_all_when_it_is_back(works: Works, receiver: Receiver) -> None:
    works.published(receiver, 8)
    messages = works.take_messages(8)
    with works.worker() as worker:
        with databases.letting_nobody_in(works.book.engine):
            begun = time.monotonic()
            works.vhost.put(DELIVERIES, *messages)
            works.rest(AWAY_FOR)
            rounds = 1 + (time.monotonic() - begun) / WAIT_BEFORE_RETURN
            assert 1 <= len(worker.complaints) <= 8 * rounds  # a line for each time that a message comes
            assert works.vhost.depth(DELIVERIES) == 8
            works.relay(code=75)
            assert receiver.requests == []
        with works.staying_relay():
            works.wait_until_final(8)
    assert len(receiver.requests) == 8
    works.book.check()


@pytest.mark.parametrize("environ", ["postgresql"], indirect=True)
def test_a_relay_that_stays_outlives_the_end_of_its_connections(works: Works, receiver: Receiver) -> None:
    works.book.webhook(receiver.url())
    staying = works.start_relay("--stay")
    for number in range(1, 5):
        works.book.publish()
        wait_for(lambda count=number: works.vhost.depth(DELIVERIES) == count, 10, lambda: staying.printed)
        databases.end_connections(works.book.engine)
    assert staying.printed == ""


# --- what all have in common


def _says_that_the_broker_is_away(printed: str) -> None:
    [line] = printed.splitlines()
    assert line.startswith("The broker cannot be used now: ")
    assert "guest:guest" not in line


def _each_arrives_once(works: Works, receiver: Receiver, count: int) -> None:
    """What is nobody's is sent by the ordinary pass; the rest by a worker, which meets outdated ones."""
    now = clock.now() + timedelta(seconds=1)
    nobody = [row for row in works.book.deliveries() if row.claimed_by is None]
    assert nobody
    assert all(row.due_at <= now for row in nobody)
    assert works.forks.run(works.environ, "cron").printed == ""
    assert len(receiver.requests) == len(nobody)
    with works.staying_relay(), works.worker():
        works.wait_until_final(count)
        works.wait_until_empty()
    assert len(receiver.requests) == count
    works.book.check()

"""Relays, workers and ordinary passes beside each other: each delivery is sent once."""

from collections import Counter

import pytest
from sqlalchemy import func, insert, select

from guestbook.lib import clock, ids
from guestbook.storage import database
from guestbook.storage.models import INBOUND, Pass
from tests.background.celery.works import DELIVERIES, Works
from tests.support import factories
from tests.support.processes import wait_for
from tests.support.receiver import Answer, Receiver

pytestmark = pytest.mark.needs("rabbitmq")
EVERYWHERE = pytest.mark.parametrize("environ", ["sqlite-wal", "postgresql", "mariadb"], indirect=True)


@EVERYWHERE
def test_two_relays_a_worker_and_an_ordinary_pass_send_each_delivery_once(
    works: Works, receiver: Receiver
) -> None:
    paths = works.webhooks(receiver, 4)
    for path in paths:
        receiver.answer(path, Answer(delay=0.005))
    elsewhere = works.environ["GUESTBOOK_DATA_DIR"] + "-elsewhere"
    staying = [
        works.start_relay("--stay"),
        works.start_relay("--stay", DATA_DIR=elsewhere),
        works.forks.start(works.environ, "cron", "--stay"),
    ]
    wait_for(lambda: passes(works) == len(staying), 60, works.show)  # before, SIGTERM would end one at once
    with works.worker(16):
        events = [event for _ in range(5) for event in works.book.publish(10)]
        works.wait_until_final(200)
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
    works.book.webhook(receiver.url())
    works.book.publish(5)
    works.relay()
    waiting = works.book.deliveries()
    works.forks.run(works.environ, "cron")
    works.forks.run(works.environ, "cron")
    works.relay(DATA_DIR=works.environ["GUESTBOOK_DATA_DIR"] + "-elsewhere")
    assert works.book.deliveries() == waiting
    assert (len(receiver.requests), works.vhost.depth(DELIVERIES)) == (0, 5)
    with works.worker():
        works.wait_until_final(5)
    assert len(receiver.requests) == 5


@pytest.mark.parametrize("environ", ["sqlite-wal"], indirect=True)  # the database makes no difference
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


def passes(works: Works) -> int:
    """How many passes and relays have begun."""
    with works.book.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(Pass)) or 0


def waiting(works: Works) -> int:
    """How much of the inbox nobody has worked through."""
    with works.book.engine.connect() as connection:
        return connection.scalar(select(func.count()).where(INBOUND.c.status == "new")) or 0

"""The first messages of a worker: all threads share one sender, made once the tables are right."""

import pytest

from guestbook.outbound.lanes import START_CAP
from guestbook.storage import database, schema_version
from tests.background.celery.works import DELIVERIES, INBOX, Works
from tests.support import factories, rabbitmq
from tests.support.processes import wait_for
from tests.support.receiver import HANG, Receiver

pytestmark = pytest.mark.needs("rabbitmq")
OLDER = "The tables are older than the program."
ONCE = pytest.mark.parametrize("environ", ["sqlite-wal"], indirect=True)  # the database makes no difference


@ONCE
def test_a_webhook_that_hangs_gets_few_threads_at_the_start(works: Works, receiver: Receiver) -> None:
    receiver.answer("/", HANG)
    works.book.webhook(receiver.url())
    works.book.publish(30)
    works.relay("--max-seconds", "1")  # more is due than it publishes before a worker has answered
    with works.worker(16):
        receiver.wait_for(START_CAP)
        works.rest()
        assert receiver.most_at_once("/") == START_CAP
        receiver.release()


@ONCE
def test_a_worker_returns_messages_until_the_book_is_upgraded_and_then_does_them(
    works: Works, receiver: Receiver
) -> None:
    works.book.webhook(receiver.url())
    works.book.publish()
    factories.inbound(factories.source(action="log"))
    works.relay()
    queues = (DELIVERIES, INBOX)
    messages = {queue: rabbitmq.copy_of(works.vhost.take(queue)) for queue in queues}
    with works.worker(concurrency=2) as worker:
        _set_version(works, "0024")
        for queue, message in messages.items():
            works.vhost.put(queue, message)
        wait_for(lambda: worker.output.count(OLDER) >= 4, 60, works.show)  # so one has come twice
        assert [works.vhost.depth(queue) for queue in queues] == [1, 1]
        assert receiver.requests == []
        assert "Traceback" not in worker.output, worker.output
        _set_version(works, schema_version.head())
        works.wait_until_final(1)
        wait_for(_is_processed, 30, works.show)
        wait_for(lambda: [works.vhost.depth(queue) for queue in queues] == [0, 0], 20, works.show)
    assert len(receiver.requests) == 1
    works.book.check()


def _set_version(works: Works, version: str) -> None:
    with database.write(works.book.engine) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")


def _is_processed() -> bool:
    return [event.status for event in factories.inbound_events()] == ["processed"]

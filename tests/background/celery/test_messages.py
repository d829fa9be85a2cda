"""What a broker may do to messages, and strangers with them: twice, never, and garbage."""

import json
from collections.abc import Callable
from typing import Any

import amqp
import pytest

from guestbook.lib import ids
from tests.background.celery.works import DELIVERIES, INBOX, ON_TWO, Works
from tests.support import factories
from tests.support.processes import wait_for
from tests.support.receiver import Answer, Receiver


def test_an_inbound_event_that_comes_twenty_times_at_once_becomes_one_comment(works: Works) -> None:
    source_id = factories.source(action="comment", template="{{ payload.text }}")
    factories.inbound(source_id, payload='{"text": "Hello"}')
    works.relay()
    works.vhost.put(INBOX, *20 * works.take_messages(1, INBOX))
    with works.worker(8), works.worker(8):
        wait_for(lambda: factories.inbound_events()[0].status == "processed", 20, works.show)
        works.wait_until_empty()
    [event] = factories.inbound_events()
    assert event.attempts == 1
    assert len(factories._now(factories.select(factories.Comment))) == 1


def test_a_message_that_comes_again_after_all_is_done_does_nothing(works: Works, receiver: Receiver) -> None:
    receiver.answer("/", Answer(500), Answer(200))
    works.published(receiver)
    [old] = works.take_messages()
    works.vhost.put(DELIVERIES, old)
    with works.worker(RETRY_SCHEDULE="0,0"):
        wait_for(lambda: works.book.delivery().attempts == 1, 20, works.show)
        works.vhost.put(DELIVERIES, old)  # the row is due again, and nobody's
        works.wait_until_empty()
        assert len(receiver.requests) == 1
        works.relay()
        works.wait_until_final(1)
        works.vhost.put(DELIVERIES, old)
        works.wait_until_empty()
    assert len(receiver.requests) == 2
    works.book.check()


def test_a_lost_message_is_made_good_when_the_lease_is_over(works: Works, receiver: Receiver) -> None:
    works.published(receiver, 3)
    assert works.vhost.purge(DELIVERIES) == 3
    works.relay()
    assert works.vhost.depth(DELIVERIES) == 0
    with works.worker():
        assert works.book.expire() == 3
        works.relay()
        works.wait_until_final(3)
    assert len(receiver.requests) == 3
    works.book.check()


@ON_TWO
def test_many_rows_that_come_twenty_times_at_once_are_sent_once(works: Works, receiver: Receiver) -> None:
    for path in works.webhooks(receiver, 4):
        receiver.answer(path, Answer(delay=0.02))
    works.book.publish(8)
    works.relay()
    messages = works.take_messages(8)
    assert [len(json.loads(message.body)[0][0]) for message in messages] == [4] * 8
    works.vhost.put(DELIVERIES, *20 * messages)
    with works.staying_relay(), works.worker(8), works.worker(8):
        works.wait_until_final(32)
        works.wait_until_empty()
    assert len(receiver.requests) == 32
    works.book.check()


# --- garbage

PLAIN: dict[str, Any] = {"content_type": "application/json", "content_encoding": "utf-8"}


def _celery(body: object = None, **changes: Any) -> amqp.Message:
    """A message as Celery makes it, but for the changes."""
    number = ids.new()
    plain = {"lang": "py", "task": "guestbook.deliver", "id": number, "root_id": number, "retries": 0}
    headers = {**plain, "timelimit": [None, None], **changes.pop("headers", {})}
    text = changes.pop("text", json.dumps([[], {}, {}] if body is None else body))
    properties = PLAIN | {"delivery_mode": 2, "application_headers": headers} | changes
    return amqp.Message(text if isinstance(text, bytes) else text.encode(), **properties)


NOBODY = [["0" * 32, "relay.x.1"], {}, {}]
GARBAGE: dict[str, Callable[[], amqp.Message]] = {
    "empty": lambda: amqp.Message(""),
    "no JSON": lambda: _celery(text="{"),
    "no UTF-8": lambda: _celery(text=b"\xff\xfe\x00"),
    "another type": lambda: _celery(content_type="application/x-python-serialize", text=b"cos\nsystem\n."),
    "unknown encoding": lambda: _celery(content_encoding="klingon"),
    "unknown task": lambda: _celery(headers={"task": "os.system"}),
    "task is a list": lambda: _celery(headers={"task": ["guestbook.deliver"]}),
    "id is a list": lambda: _celery(NOBODY, headers={"id": ["x"]}),
    "no id": lambda: amqp.Message(b"[[],{},{}]", **PLAIN, application_headers={"task": "guestbook.deliver"}),
    "no list": lambda: _celery({"hello": 1}),
    "old protocol": lambda: amqp.Message(
        json.dumps({"task": "guestbook.deliver", "id": "1", "args": 5, "kwargs": {}}).encode(), **PLAIN
    ),
    "no arguments": lambda: _celery(),
    "three arguments": lambda: _celery([["x", "y", "z"], {}, {}]),
    "named arguments": lambda: _celery([[], {"a": 1}, {}]),
    "lists": lambda: _celery([[["x"], {"y": 1}], {}, {}]),
    "a list of nobodies": lambda: _celery([[["0" * 32, "1" * 32], "relay.x.1"], {}, {}]),
    "a long list": lambda: _celery([[["0" * 32] * 100, "relay.x.1"], {}, {}]),
    "a list in a list": lambda: _celery([[[["0" * 32]], "relay.x.1"], {}, {}]),
    "NUL": lambda: _celery([["\0", "\0"], {}, {}]),
    "a surrogate": lambda: _celery(text='[["\\ud800", "\\ud800"], {}, {}]'),
    "long": lambda: _celery([["x" * 5_000_000, "y"], {}, {}]),
    "nobody": lambda: _celery(NOBODY),
    "deep": lambda: _celery(text="[" * 100_000),
    "callbacks": lambda: _celery([NOBODY[0], {}, {"callbacks": [{"task": "x"}], "chain": 5}]),
    "retries": lambda: _celery(NOBODY, headers={"retries": "many"}),
    "expired": lambda: _celery(NOBODY, headers={"expires": "2001-01-01T00:00:00+00:00"}),
    "the year 9999": lambda: _celery(NOBODY, headers={"eta": "9999-12-31T23:59:59+00:00"}),
    "a time limit": lambda: _celery(NOBODY, headers={"timelimit": "x"}),
    "a reply to nowhere": lambda: _celery(NOBODY, reply_to="nobody", correlation_id="1"),
}


@pytest.mark.parametrize("queue", [DELIVERIES, INBOX])
def test_garbage_neither_ends_a_worker_nor_comes_again(works: Works, receiver: Receiver, queue: str) -> None:
    works.book.webhook(receiver.url())
    with works.staying_relay(), works.worker(4) as worker:
        for number, make in enumerate(GARBAGE.values(), 1):
            message = make()
            headers = message.properties.get("application_headers", {})
            if queue == INBOX and headers.get("task") == "guestbook.deliver":
                headers["task"] = "guestbook.process"
            works.vhost.put(queue, message)
            if number % 5 == 0:
                works.book.publish()
        works.wait_until_final(len(GARBAGE) // 5)
        works.wait_until_empty()
    assert len(receiver.requests) == len(GARBAGE) // 5
    assert len(worker.complaints) <= len(GARBAGE), "a log that anybody can fill"
    works.book.check()

"""On a server of one thread and one process, receivers that hang cost visitors no more than a pass may take.

Nothing here is timed: the seconds are added up that a pass grants to its attempts.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from guestbook.transport import ReceiverAnswer, Transport
from guestbook.web import send_after_requests
from tests.conftest import running
from tests.support.book import Book
from tests.support.receiver import HANG, Receiver
from tests.web.test_short_passes import ask, later


@pytest.fixture
def app(environ: dict[str, str]) -> Iterator[Flask]:
    """A book whose requests send."""
    with running({**environ, "GUESTBOOK_SEND_AFTER_REQUESTS": "true"}) as app, app.app_context():
        yield app


@pytest.fixture
def granted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that each attempt has until it is cut."""
    seconds_of_each: list[float] = []
    post = Transport.post

    def note(self: Transport, *given: Any, seconds: float) -> ReceiverAnswer:
        seconds_of_each.append(seconds)
        return post(self, *given, seconds=seconds)

    monkeypatch.setattr(Transport, "post", note)
    return seconds_of_each


def test_all_attempts_of_a_pass_share_its_time_and_a_receiver_that_hung_gets_none_of_the_next(
    app: Flask, receiver: Receiver, granted: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_after_requests, "SHORT", 2.0)  # in less, a busy machine might begin no attempt
    monkeypatch.setattr(send_after_requests, "PATIENT", 3.0)
    book, known = Book(app), send_after_requests.of(app)
    receiver.answer("/never", HANG)
    webhooks = {book.webhook(receiver.url("/never")) for _ in range(3)}

    def seconds_of_next_request() -> float:
        granted.clear()
        book.publish()
        later(app, book)
        ask(app)
        return sum(granted)

    for hung in range(len(webhooks)):
        known._patient_at = time.monotonic() + 1000
        assert len(known._slow) == hung
        assert 0 < seconds_of_next_request() <= send_after_requests.SHORT
    assert known._slow.keys() == webhooks
    assert seconds_of_next_request() == 0
    known._patient_at = 0.0
    assert 0 < seconds_of_next_request() <= send_after_requests.PATIENT
    assert seconds_of_next_request() == 0  # the next patient pass is ten minutes away
    book.check()

"""A poller sees due rows without writing, and wakes when something is stored."""

import math
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import Mock

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from guestbook.lib import clock
from guestbook.lib.current_process import StopFlag
from guestbook.queue import poller as poller_module
from guestbook.queue.poller import Poller
from guestbook.storage import database
from guestbook.storage.database import db
from tests.support import databases, factories

MINUTE = timedelta(minutes=1)
LONG = 10.0  # seconds; no test here takes so long


@pytest.fixture
def poller(each_app: Flask) -> Iterator[Poller]:  # noqa: ARG001
    with Poller(db.engine) as poller:
        yield poller


def test_the_next_due_is_the_earliest_of_all_webhooks(poller: Poller) -> None:
    now = clock.now()
    for minutes in (7, 3, 5):
        factories.delivery(factories.webhook(), due_at=now + minutes * MINUTE)
    factories.delivery(factories.webhook(), status="processed")
    assert poller.next_due() == now + 3 * MINUTE
    assert not poller.anything_due(now + 2 * MINUTE)
    assert poller.anything_due(now + 3 * MINUTE)


def test_a_paused_webhook_is_due_when_its_pause_is_over(poller: Poller) -> None:
    now = clock.now()
    factories.delivery(factories.webhook(paused_until=now + 9 * MINUTE), due_at=now - MINUTE)
    assert poller.next_due() == now + 9 * MINUTE
    assert not poller.anything_due(now)


def test_a_disabled_webhook_is_never_due(poller: Poller) -> None:
    hook = factories.webhook(disabled_at=clock.now(), disabled_reason="by_hand")
    factories.delivery(hook)
    assert poller.next_due() is None


@pytest.mark.parametrize("each_environ", databases.MODES, indirect=True)  # with a rollback journal it might
def test_to_look_does_not_stop_a_writer(poller: Poller) -> None:
    hook = factories.webhook()
    poller.next_due()
    with database.write(db.engine):
        poller.next_due()
    factories.delivery(hook)
    assert poller.anything_due(clock.now())


def rest_in_a_thread(poller: Poller, seconds: float, stop: StopFlag) -> tuple[threading.Thread, list[float]]:
    took: list[float] = []

    poller.next_due()

    def rest() -> None:
        start = time.monotonic()
        poller.rest(start + seconds, stop)
        took.append(time.monotonic() - start)

    thread = threading.Thread(target=rest)
    thread.start()
    return thread, took


@pytest.mark.usefixtures("app")
def test_a_rest_ends_when_the_next_one_is_due() -> None:
    factories.delivery(factories.webhook(), due_at=clock.now() + timedelta(seconds=0.2))
    with Poller(db.engine) as poller:
        thread, took = rest_in_a_thread(poller, LONG, StopFlag())
        thread.join(LONG)
        assert took[0] < LONG / 2


@pytest.mark.parametrize("each_environ", databases.KINDS[1:], indirect=True)
@pytest.mark.usefixtures("each_app")
def test_a_server_that_cannot_be_reached_again_is_the_only_error(monkeypatch: pytest.MonkeyPatch) -> None:
    poller = Poller(db.engine)
    monkeypatch.setattr(poller, "_connected_at", -math.inf)
    monkeypatch.setattr(database, "RETRY_FOR", 0.0)
    away = OperationalError("SELECT 1", None, OSError("no route"))
    monkeypatch.setattr(db.engine, "connect", Mock(side_effect=away))
    with pytest.raises(OperationalError) as found, poller:
        poller.next_due()
    assert found.value is away


@pytest.mark.usefixtures("each_app")
def test_only_a_pass_on_a_file_looks_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller_module, "LONGEST_REST", 0.1)
    with Poller(db.engine) as poller:
        thread, took = rest_in_a_thread(poller, 1.0, StopFlag())
        thread.join(LONG)
    assert (took[0] < 0.9) == (db.engine.dialect.name == "sqlite")

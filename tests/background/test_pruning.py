"""Prune: what is older than the retention goes, in bites; everything else stays."""

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select

from guestbook.background import housekeeping
from guestbook.lib import clock, ids
from guestbook.lib.validate import PULL_URL
from guestbook.storage import database, engine_setup, row_changes
from guestbook.storage.database import db
from guestbook.storage.models import (
    ATTEMPTS,
    Delivery,
    IdempotencyKey,
    Limit,
    Login,
    Pass,
    ReceiverLink,
    SeenSignature,
)
from tests.support import factories

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def prune(**changes: Any) -> int:
    settings = replace(factories.settings(), **changes)
    return housekeeping.prune(db.engine, settings, until=time.monotonic() + 60)


def left() -> set[str]:
    return {row.id for row in factories.deliveries()}


def attempt_for(delivery_id: str) -> None:
    with database.write(db.engine) as connection:
        row = {"delivery_id": delivery_id, "number": 1, "triggered_by": "schedule", "milliseconds": 1}
        connection.execute(insert(ATTEMPTS).values(**row, started_at=clock.now(), request_headers={}))


@pytest.mark.usefixtures("each_app")
def test_what_is_older_than_its_retention_goes_and_nothing_else() -> None:
    now = clock.now()
    hook = factories.webhook()
    old = {
        factories.delivery(hook, status="processed", finished_at=now - 30 * DAY - HOUR),
        factories.delivery(hook, status="failed", finished_at=now - 90 * DAY - HOUR),
    }
    kept = {
        factories.delivery(hook, status="processed", finished_at=now - 30 * DAY + HOUR),
        factories.delivery(hook, status="failed", finished_at=now - 90 * DAY + HOUR),
        factories.delivery(hook, status="processed", created_at=now - 400 * DAY, finished_at=now),
        factories.delivery(hook, created_at=now - 400 * DAY, due_at=now - 400 * DAY),
    }
    assert prune() == len(old)
    assert left() == kept
    assert prune() == 0


@pytest.mark.usefixtures("each_app")
def test_attempts_go_with_their_delivery() -> None:
    hook = factories.webhook()
    for days in (31, 29):
        attempt_for(factories.delivery(hook, status="processed", finished_at=clock.now() - days * DAY))
    prune()
    assert [row.delivery_id for row in factories.attempts()] == list(left())
    assert len(left()) == 1


@pytest.mark.usefixtures("each_app")
def test_what_waits_for_a_disabled_webhook_goes_when_it_is_as_old_as_failed_ones_may_become() -> None:
    now = clock.now()
    disabled = factories.webhook(disabled_at=now, disabled_reason="gone")
    old = {"created_at": now - 91 * DAY, "due_at": now - 91 * DAY}
    kept = {
        factories.delivery(disabled, created_at=now - 89 * DAY, due_at=now - 89 * DAY),
        factories.delivery(factories.webhook(), **old),
    }
    factories.delivery(disabled, **old)
    assert prune() == 1
    assert left() == kept


@pytest.mark.usefixtures("each_app")
def test_an_old_delivery_or_inbound_event_that_was_put_back_into_the_queue_stays() -> None:
    long_ago = clock.now() - 91 * DAY
    pulled, closed = factories.webhook(url=PULL_URL), factories.source(disabled_at=clock.now())
    kept = {factories.delivery(pulled, created_at=long_ago, due_at=clock.now())}
    processed_again = factories.inbound(closed, received_at=long_ago, due_at=clock.now())
    factories.inbound(closed, received_at=long_ago, due_at=long_ago)
    assert prune() == 1
    assert left() == kept
    assert [row.id for row in factories.inbound_events()] == [processed_again]


@pytest.mark.usefixtures("each_app")
def test_logins_that_are_over_go_and_limits_that_nobody_has_met_for_a_day() -> None:
    now = clock.now()
    with database.writing() as session:
        for hours in (-1, 1):
            session.add(Login(id=f"{hours}", browser="", created_at=now, expires_at=now + hours * HOUR))
            session.add(Limit(who=f"{hours}", hits=9, since=now - 9 * DAY, last_at=now - DAY + hours * HOUR))
    assert prune() == 2
    assert list(db.session.scalars(select(Login.id))) == list(db.session.scalars(select(Limit.who))) == ["1"]


@pytest.mark.usefixtures("app")
def test_the_settings_say_how_long() -> None:
    hook = factories.webhook()
    factories.delivery(hook, status="processed", finished_at=clock.now() - HOUR)
    failed = factories.delivery(hook, status="failed", finished_at=clock.now() - HOUR)
    assert prune(keep_processed_days=0) == 1
    assert left() == {failed}
    assert prune(keep_failed_days=0) == 1


@pytest.mark.usefixtures("each_app")
def test_old_passes_go() -> None:
    with database.write(db.engine) as connection:
        for days in (1, 29, 31, 60):
            done = {"host": "here", "processed": 0, "retried": 0, "failed": 0}
            moment = clock.now() - days * DAY
            connection.execute(insert(Pass).values(id=ids.new(), started_at=moment, **done))
    assert prune() == 2
    assert db.session.scalar(select(func.count()).select_from(Pass)) == 2


@pytest.mark.usefixtures("app")
def test_it_goes_on_bite_by_bite_until_all_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_changes, "BATCH_SIZE", 2)
    hook = factories.webhook()
    for _ in range(5):
        factories.delivery(hook, status="processed", finished_at=clock.now() - 31 * DAY)
    assert prune() == 5
    assert left() == set()


@pytest.mark.usefixtures("app")
def test_it_stops_when_its_time_is_over() -> None:
    factories.delivery(factories.webhook(), status="processed", finished_at=clock.now() - 31 * DAY)
    assert housekeeping.prune(db.engine, factories.settings(), until=time.monotonic()) == 0
    assert len(left()) == 1


@pytest.mark.usefixtures("each_app")
def test_a_row_that_was_redelivered_after_the_look_stays() -> None:
    row_id = factories.delivery(factories.webhook(), status="failed", finished_at=clock.now() - 91 * DAY)

    looks: list[object] = []

    def redeliver(*_: object) -> None:
        looks.append("given back")
        if len(looks) == 2:  # after the look at the processed ones came that at the failed ones
            with database.writing() as session:
                session.get_one(Delivery, row_id).requeue(clock.now())

    event.listen(db.engine, "checkin", redeliver)
    prune()
    event.remove(db.engine, "checkin", redeliver)
    assert factories.one().status == "new"


@pytest.mark.usefixtures("app")
def test_when_nothing_is_old_no_write_lock_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.delivery(factories.webhook(), status="failed")
    monkeypatch.setattr(engine_setup, "FOR_PASSES", replace(engine_setup.FOR_PASSES, write=0.0))
    with database.write(db.engine):
        assert prune() == 0


@pytest.mark.usefixtures("each_app")
def test_answers_to_repeat_go_after_a_day_links_of_receivers_and_seen_signatures_after_a_month() -> None:
    now, hook = clock.now(), factories.webhook()
    with database.writing() as session:
        for name, ago in (("old", HOUR), ("new", -HOUR)):
            session.add(IdempotencyKey(id=name, request="", answer="", created_at=now - DAY - ago))
            ended_at = now - 30 * DAY - ago
            session.add(SeenSignature(mark=name, event_id="", seen_at=ended_at))
            session.add(ReceiverLink(id=name, webhook_id=hook, name="Ada", expires_at=ended_at))
    prune()
    assert list(db.session.scalars(select(IdempotencyKey.id))) == ["new"]
    assert list(db.session.scalars(select(ReceiverLink.id))) == ["new"]
    assert list(db.session.scalars(select(SeenSignature.mark))) == ["new"]

"""The clock jumps, as on hosts without a battery: a pass fixes the due times and deletes nothing."""

import os
import signal
import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from guestbook.background import whole_pass
from guestbook.background.whole_pass import Options
from guestbook.comments import comment_actions
from guestbook.lib import clock, ids, retry_policy
from guestbook.outbound import attempt_recorder
from guestbook.outbound.attempt_recorder import Tally
from guestbook.outbound.delivery_dispatcher import Dispatcher
from guestbook.outbound.delivery_tasks import Outcome
from guestbook.queue import claims, clock_repair
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Delivery, Pass, Webhook
from tests.support import factories
from tests.support.book import Book
from tests.support.receiver import Answer, Receiver
from tests.web.conftest import Later

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def hook(app: Flask, receiver: Receiver) -> str:  # noqa: ARG001
    return factories.webhook(receiver.url("/hook"))


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("timeout", [15, 300])
def test_no_repair_lets_the_end_of_an_erased_comment_leave_before_the_longest_request(timeout: float) -> None:
    settings = replace(factories.settings(), timeout=timeout)
    factories.webhook(events="comment.created comment.deleted")
    comment_id = factories.sign()
    under_way = clock.now() + retry_policy.lease(timeout) + claims.CLOCK_SKEW

    def erase(session: Session) -> None:
        session.execute(update(Delivery).values(claimed_by="a pass", claims=1, due_at=under_way))
        comment_actions.delete(session, session.get_one(Comment, comment_id), settings)

    factories.written(erase)
    clock_repair.repair(db.engine, settings.timeout, settings.retry_schedule)
    assert max(row.due_at for row in factories.deliveries() if row.due_at) == under_way


def test_a_repair_that_had_to_wait_for_hours_ends_no_lease_of_meanwhile(
    hook: str, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = database.write_with_retry

    def write_hours_later(*values: Any) -> Any:
        later.ahead = 9 * HOUR
        until = clock.now() + MINUTE
        factories.delivery(hook, claimed_by="another pass", claims=1, due_at=until)
        return write(*values)

    monkeypatch.setattr(database, "write_with_retry", write_hours_later)
    clock_repair.repair(db.engine, 15, (60.0,), went_back=True)
    assert factories.one().claimed_by == "another pass"


@pytest.mark.usefixtures("hook")
@pytest.mark.parametrize("ahead", [HOUR, 40 * DAY])
def test_a_retry_put_off_by_a_clock_goes_out(receiver: Receiver, later: Later, ahead: timedelta) -> None:
    receiver.answer("/hook", Answer(500), Answer(200))
    later.ahead = ahead
    factories.sign()
    factories.run_pass()
    assert factories.one().status == "new"
    later.ahead = timedelta()
    factories.run_pass()
    assert (factories.one().status, len(receiver.requests)) == ("processed", 2)


def test_a_lease_of_a_killed_pass_whose_clock_was_ahead_is_repaired(hook: str) -> None:
    factories.delivery(hook, claimed_by="a killed pass", claims=1, due_at=clock.now() + HOUR)
    factories.run_pass()
    assert factories.one().status == "processed"


def test_a_pause_beyond_all_reason_is_lifted(hook: str, later: Later) -> None:
    factories.sign()
    with database.writing() as session:
        session.get_one(Webhook, hook).paused_until = later.now() + 30 * DAY
    factories.run_pass()
    assert factories.one().status == "processed"


def test_a_wait_may_be_the_longest_by_another_hosts_clock(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now, settings = clock.now(), factories.settings()
    monkeypatch.setattr(clock, "now", lambda: now)
    first = retry_policy.lease(settings.timeout) + claims.CLOCK_SKEW
    waits = {0: first, 3: retry_policy.longest_wait(settings.retry_schedule)}
    expected = {}
    for attempts, wait in waits.items():
        farthest = now + wait + claims.CLOCK_SKEW
        for due_at, repaired in ((farthest, farthest), (farthest + SECOND, now)):
            row_id = factories.delivery(hook, due_at=due_at, attempts=attempts, claims=attempts)
            expected[row_id] = repaired
    clock_repair.repair(db.engine, settings.timeout, settings.retry_schedule)
    assert {row.id: row.due_at for row in factories.deliveries()} == expected


@pytest.mark.usefixtures("hook")
def test_after_a_jump_back_later_passes_leave_waits_alone(receiver: Receiver, later: Later) -> None:
    receiver.answer("/hook", Answer(500))
    later.ahead = 3 * HOUR
    factories.sign()
    factories.run_pass()
    later.ahead = timedelta()
    for _ in range(3):
        factories.run_pass()
    assert len(receiver.requests) == 2
    assert factories.one().attempts == 2


@pytest.mark.parametrize("passes", [1, 3])
def test_a_jump_forward_loses_nothing(hook: str, receiver: Receiver, later: Later, passes: int) -> None:
    factories.change_settings(retry_schedule=(0.0, 3600.0, 3600.0, 3600.0, 3600.0))
    for number in range(20):
        factories.delivery(hook, status="processed" if number % 2 else "failed")
    receiver.answer("/hook", Answer(500))
    for _ in range(5):
        factories.sign()
    factories.run_pass()
    later.ahead = 200 * DAY
    for _ in range(passes):
        factories.run_pass()
    assert len(factories.deliveries()) == 25
    waiting = [row for row in factories.deliveries() if row.status == "new"]
    assert [row.attempts for row in waiting] == [2] * 5


def test_a_jump_forward_disables_nothing(hook: str, book: Book, receiver: Receiver, later: Later) -> None:
    book.note_passes()
    with database.writing() as session:
        webhook = session.get_one(Webhook, hook)
        webhook.failures_in_a_row, webhook.failing_since = 20, clock.now() - HOUR
    receiver.answer("/hook", Answer(500))
    for ahead in (6 * DAY, 6 * DAY + HOUR):
        later.ahead = ahead
        factories.sign()
        factories.run_pass()
    webhook = book.webhook_row(hook)
    assert (webhook.disabled_at, webhook.failures_in_a_row) == (None, 23)


@pytest.mark.usefixtures("hook")
def test_a_long_pass_notices_a_clock_that_goes_back(receiver: Receiver, later: Later) -> None:
    receiver.answer("/hook", Answer(500), Answer(200))
    settings = replace(factories.settings(), retry_schedule=(0.0, 300.0))
    later.ahead = 5 * HOUR
    factories.sign()

    def turn_back(tally: Tally) -> None:
        if tally.retried:
            later.ahead = 4 * HOUR
        if tally.processed:
            os.kill(os.getpid(), signal.SIGTERM)

    stays = Options(max_seconds=20, stay=True, concurrency=8)
    whole_pass.run(db.engine, settings, stays, after_tick=turn_back)
    assert (factories.one().status, len(receiver.requests)) == ("processed", 2)


def test_after_a_jump_back_nothing_is_sent_that_was_claimed_before(
    hook: str, book: Book, receiver: Receiver, later: Later
) -> None:
    later.ahead = HOUR
    factories.alter(Webhook, hook, events="comment.created comment.published")
    factories.sign()
    held = Dispatcher(db.engine, book.settings, concurrency=1)
    [claimed] = database.write_with_retry(db.engine, held.claim)
    held.pool.load(*claimed)
    later.ahead = timedelta()
    factories.run_pass()  # It frees the lease.
    assert [row.status for row in factories.deliveries()] == ["processed", "processed"]
    held.pool.wait(0)
    assert [outcome.started_at for outcome in held.pool.collect()] == [None]
    assert len(receiver.requests) == 2


def test_after_a_jump_back_a_claimed_retry_that_is_given_back_is_due_at_once(
    hook: str, book: Book, later: Later
) -> None:
    later.ahead = HOUR
    factories.delivery(hook, attempts=1, claims=1)
    held = Dispatcher(db.engine, book.settings, concurrency=1)
    [(_, [task], *_)] = database.write_with_retry(db.engine, held.claim)
    later.ahead = timedelta()
    with database.write(db.engine) as connection:
        attempt_recorder.record(connection, [Outcome(task)], book.settings)
    row = factories.one()
    assert (row.claimed_by, row.due_at <= clock.now()) == (None, True)


@pytest.mark.parametrize("monotonic_by", [0.0, -3600.0])
def test_a_clock_put_back_ends_no_lease(
    hook: str, later: Later, monkeypatch: Any, monotonic_by: float
) -> None:
    later.ahead, settings = HOUR, factories.settings()
    each_minute = clock_repair.PeriodicRepair(db.engine, settings.timeout, settings.retry_schedule, "mine.")
    soon = clock.now() + timedelta(seconds=40)
    for token in ("mine.1", "another.1"):
        factories.delivery(hook, claimed_by=token, claims=1, due_at=soon)
    later.ahead = timedelta()
    beside = SimpleNamespace(monotonic=lambda: time.monotonic() + monotonic_by)
    monkeypatch.setattr(clock_repair, "time", beside)
    each_minute.look()
    assert {row.claimed_by for row in factories.deliveries()} == {"mine.1", None}


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("passed", "shown", "due"),
    [(0, 0, False), (59.9, 59.9, False), (60, 60, True), (-1, 0, True), (30, -30, False), (30, -31, True)],
)
def test_a_pass_looks_each_minute_and_as_soon_as_a_clock_went_back(
    monkeypatch: pytest.MonkeyPatch, passed: float, shown: float, due: bool
) -> None:
    began, settings = clock.now(), factories.settings()
    monkeypatch.setattr(clock, "now", lambda: began)
    monkeypatch.setattr(clock_repair, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    each_minute = clock_repair.PeriodicRepair(db.engine, settings.timeout, settings.retry_schedule)
    waits = factories.delivery(factories.webhook(), due_at=began + 5 * HOUR, attempts=1, claims=1)
    monkeypatch.setattr(clock, "now", lambda: began + shown * SECOND)
    monkeypatch.setattr(clock_repair, "time", SimpleNamespace(monotonic=lambda: 1000.0 + passed))
    assert each_minute.is_due() == due
    each_minute.look()
    assert not each_minute.is_due()
    went_back = (due and shown < 0) or passed < 0
    assert (factories.the(Delivery, waits).due_at < began + HOUR) == went_back


@pytest.mark.parametrize("kind", ["deliveries", "inbound events", "pauses"])
def test_what_a_right_clock_explains_is_left_alone(
    hook: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    now, settings, schedule = clock.now(), factories.settings(), (3600.0, 60.0)
    monkeypatch.setattr(clock, "now", lambda: now)
    source, token = factories.source(), {"claimed_by": "a pass", "claims": 1}
    relay = now + retry_policy.RELAY_LEASE + claims.CLOCK_SKEW
    wait = now + retry_policy.longest_wait(schedule) + claims.CLOCK_SKEW
    tried: dict[str, Any] = {"attempts": 1, "claims": 1}
    rows: dict[str, list[tuple[Any, dict[str, Any]]]] = {  # each with the last moment that a clock explains
        "deliveries": [
            (relay + claims.CLOCK_SKEW, token),
            (now + HOUR + claims.CLOCK_SKEW, {}),
            (wait, tried),
        ],
        "inbound events": [(relay, token), (relay, {}), (wait, tried), (now + MINUTE, {})],
        "pauses": [],
    }
    store, owner = (factories.delivery, hook) if kind == "deliveries" else (factories.inbound, source)
    expected = {store(owner, due_at=last, **values): last for last, values in rows[kind]}
    late = [store(owner, due_at=max(last, relay) + SECOND, **values) for last, values in rows[kind]]
    factories.alter(Webhook, hook, paused_until=wait + (SECOND if kind == "pauses" else SECOND * 0))
    assert clock_repair.repair(db.engine, settings.timeout, schedule) is None
    found = [*factories.deliveries(), *factories.inbound_events()]
    assert {row.id: row.due_at for row in found} == expected | dict.fromkeys(late, now)
    assert factories.the(Webhook, hook).paused_until == (None if kind == "pauses" else wait)


def test_only_passes_of_this_host_show_that_its_clock_went_back(
    hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, settings = clock.now(), factories.settings()
    monkeypatch.setattr(clock, "now", lambda: now)
    timing = db.engine, settings.timeout, settings.retry_schedule
    waits = factories.delivery(hook, due_at=now + HOUR, attempts=1, claims=1)
    started = {"before": now - HOUR, "soon": now + clock_repair.CLOCK_SLACK, "elsewhere": now + DAY}
    for name, moment in started.items():
        host = "another" if name == "elsewhere" else ids.host_name()
        factories.execute(insert(Pass).values(id=name, started_at=moment, host=host))
    assert clock_repair.repair(*timing) == now + DAY
    assert factories.the(Delivery, waits).due_at == now + HOUR
    assert clock_repair.repair(*timing, went_back=True) is None
    assert factories.the(Delivery, waits).due_at == now
    passes = {row.id: row.started_at for row in factories.rows(Pass)}
    assert passes == started | {"soon": now}


def test_when_the_clock_has_gone_steadily_for_days_old_rows_are_pruned(
    hook: str, later: Later, monkeypatch: Any
) -> None:
    monkeypatch.setattr(whole_pass, "PRUNE_TIME", 60)  # A busy machine may need more than half a second.
    factories.delivery(hook, status="processed")
    factories.run_pass()
    later.ahead = 200 * DAY
    for hours in range(0, 60, 12):
        later.ahead = 200 * DAY + hours * HOUR
        factories.run_pass()
    assert factories.deliveries() == []


@pytest.mark.usefixtures("hook")
@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
def test_the_time_zone_has_no_effect(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    receiver.answer("/hook", Answer(500), Answer(200))
    with monkeypatch.context() as patch:
        factories.sign()
        patch.setenv("TZ", zone)
        time.tzset()
        factories.run_pass()
        row = factories.one()
        assert timedelta(seconds=3) < row.due_at - clock.now() < timedelta(seconds=7)
        assert row.payload.count(f"{row.created_at:%Y-%m-%dT%H}") >= 1
    time.tzset()
    factories.run_pass()
    assert len(receiver.requests) == 1
    factories.all_due()
    factories.run_pass()
    assert factories.one().status == "processed"

"""The attempts of one webhook: rates, times, bars by hour and day, the last hundred, and what comes next."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from guestbook.lib import clock
from guestbook.queries import statistics, webhook_status
from guestbook.queries.statistics import AttemptTimes, Bar, WebhookAttempts
from guestbook.storage.database import db
from tests.support import factories

NOW = datetime(2026, 3, 17, 14, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GOOD: dict[str, Any] = {"status_code": 200, "error": None}
BAD: dict[str, Any] = {"status_code": None, "error": "The connection was refused."}


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def hook(app: Flask) -> str:  # noqa: ARG001  it lives in the app's context
    return factories.webhook()


def made(hook: str, *attempts: dict[str, Any], ago: timedelta = HOUR) -> str:
    """Store a delivery of that age with these attempts, each a minute after the one before."""
    row_id = factories.delivery(hook, status="failed", created_at=NOW - ago)
    for number, one in enumerate(attempts, 1):
        moment = NOW - ago + (number - 1) * MINUTE
        factories.attempt(row_id, **{"number": number, "started_at": moment, **one})
    return row_id


def read(hook: str) -> WebhookAttempts:
    found = statistics.attempts_of(db.session(), hook, NOW)
    db.session.rollback()
    return found


@pytest.mark.usefixtures("each_app")
def test_rates_and_times_are_of_the_last_day_and_the_last_thirty_days() -> None:
    hook = factories.webhook()
    made(hook, {**BAD, "milliseconds": 400}, {**GOOD, "milliseconds": 20})
    made(hook, {**GOOD, "milliseconds": 10}, ago=3 * DAY)
    made(hook, {**BAD, "milliseconds": 9000}, ago=31 * DAY)
    made(factories.webhook(), {**BAD, "milliseconds": 7000})
    found = read(hook)
    assert (found.day, found.day.rate) == (AttemptTimes(2, 1, 20, 400), 50)
    assert (found.month, found.month.rate) == (AttemptTimes(3, 2, 20, 400), 66)


@pytest.mark.parametrize(("ms", "p50", "p95"), [(range(1, 101), 50, 95), (range(1, 21), 10, 19), ([7], 7, 7)])
def test_times_are_by_nearest_rank(hook: str, ms: Any, p50: int, p95: int) -> None:
    for milliseconds in ms:
        made(hook, {**GOOD, "milliseconds": milliseconds})
    assert read(hook).day == AttemptTimes(len(ms), len(ms), p50, p95)


@pytest.mark.usefixtures("each_app")
@pytest.mark.parametrize(("status_code", "error", "succeeded"), [
    (204, None, True),
    (204, "Delivered; the rest of the answer was left unread (too long).", True),
    (200, "The website takes no webmentions, so nothing was sent.", True),
    (200, 'The receiver answered 200, but not that it is "ok".', False),
    (404, "The receiver answered 404.", False),
    (None, "The connection was refused.", False),
])  # fmt: skip
def test_a_success_with_a_note_is_one_on_each_page(status_code: Any, error: Any, succeeded: bool) -> None:
    hook = factories.webhook()
    row_id = made(hook, {"status_code": status_code, "error": error})
    found = read(hook)
    assert [one.succeeded for one in found.last] == [succeeded]
    assert found.day.successes == succeeded
    [activity] = statistics.overview(db.session(), NOW).webhooks
    assert activity.successes == succeeded
    [attempt] = factories.attempts(row_id)
    assert attempt.succeeded is succeeded


def test_bars_have_each_attempt_at_its_own_time(hook: str) -> None:
    row_id = made(hook, BAD, ago=2 * DAY)
    factories.attempt(row_id, number=2, started_at=NOW - 5 * MINUTE, **GOOD)
    found = read(hook)
    assert [bar for bar in found.hours if bar.total] == [Bar(NOW.replace(minute=0), processed=1, failed=0)]
    days = [(bar.since.day, bar.processed, bar.failed) for bar in found.days if bar.total]
    assert days == [(15, 0, 1), (17, 1, 0)]


def test_the_last_hundred_stand_in_order(hook: str) -> None:
    for number in range(101):
        made(hook, {**GOOD, "milliseconds": number}, ago=HOUR - number * timedelta(seconds=1))
    last = read(hook).last
    assert [one.milliseconds for one in last] == list(range(1, 101))


def test_where_there_are_many_it_says_where_figures_begin(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "COUNTED_ATTEMPTS", 3)
    for number in range(2):
        made(hook, GOOD, ago=HOUR + number * MINUTE)
    assert read(hook).counted_from is None
    made(hook, GOOD, GOOD, ago=MINUTE)
    found = read(hook)
    assert (found.month.attempts, found.counted_from) == (3, NOW - HOUR)


def test_where_there_are_many_deliveries_it_says_so_too(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "COUNTED_ATTEMPTS", 3)
    for number, attempts in enumerate([[GOOD], [], [GOOD]], 1):
        made(hook, *attempts, ago=number * HOUR)
    found = read(hook)
    assert (found.month.attempts, found.counted_from) == (2, NOW - 3 * HOUR)


def test_what_comes_next_is_in_the_order_of_its_due_time(hook: str) -> None:
    late = factories.delivery(hook, due_at=NOW + HOUR)
    soon = factories.delivery(hook, due_at=NOW + MINUTE)
    factories.delivery(hook, status="processed")
    factories.delivery(factories.webhook())
    db.session.rollback()
    assert [row.id for row in webhook_status.coming_deliveries(db.session(), hook)] == [soon, late]

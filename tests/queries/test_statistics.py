"""Figures: deliveries by hour and day, the days that are kept, and how each webhook does."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import current_app
from sqlalchemy import delete, event, select

from guestbook.lib import clock, ids
from guestbook.queries import statistics
from guestbook.queries.statistics import Bar, WebhookActivity
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Day, Delivery, Webhook
from tests.support import factories, query_plans

NOW = datetime(2026, 3, 17, 14, 30, tzinfo=UTC)
TODAY = datetime(2026, 3, 17, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def made(moment: datetime, status: str = "processed", webhook_id: str | None = None) -> str:
    """Store a delivery that was made at that moment."""
    row_id = ids.first_of(moment)[:12] + ids.new()[12:]
    webhook_id = webhook_id or db.session.scalars(select(Webhook.id)).first() or factories.webhook()
    db.session.rollback()
    return factories.delivery(webhook_id, id=row_id, status=status, created_at=moment)


def some(bars: list[Bar]) -> dict[datetime, tuple[int, int, int]]:
    return {bar.since: (bar.processed, bar.failed, bar.new) for bar in bars if bar.total}


def hours() -> list[Bar]:
    db.session.rollback()
    return statistics.hours(db.session(), NOW)


def days() -> list[Bar]:
    db.session.rollback()
    return statistics.days(db.session(), NOW, statistics.hours(db.session(), NOW))


def settle(now: datetime = NOW, **changes: Any) -> None:
    db.session.rollback()
    statistics.record_days(db.engine, replace(factories.settings(), **changes).keep_processed_days, now)


def kept() -> dict[str, tuple[int, int]]:
    db.session.rollback()
    rows = db.session.scalars(select(Day).order_by(Day.day))
    return {row.day: (row.processed, row.failed) for row in rows}


def doing() -> WebhookActivity:
    db.session.rollback()
    [one] = statistics.overview(db.session(), NOW).webhooks
    return one


@pytest.mark.usefixtures("each_app")
def test_each_delivery_stands_in_its_hour_with_what_became_of_it() -> None:
    now_hour = NOW.replace(minute=0)
    made(now_hour)
    made(now_hour + 29 * timedelta(minutes=1), "new")
    made(now_hour - timedelta(milliseconds=1), "failed")
    made(now_hour - 23 * HOUR)
    made(now_hour - 23 * HOUR - timedelta(milliseconds=1))
    assert len(hours()) == 24
    assert hours()[0].since == now_hour - 23 * HOUR
    assert some(hours()) == {now_hour - 23 * HOUR: (1, 0, 0), now_hour - HOUR: (0, 1, 0), now_hour: (1, 0, 1)}


def test_days_are_right_before_cron_has_ever_come() -> None:
    made(TODAY)
    made(TODAY - timedelta(milliseconds=1), "failed")
    made(TODAY - 29 * DAY, "new")
    made(TODAY - 29 * DAY - timedelta(milliseconds=1))
    assert [bar.since for bar in days()] == [TODAY - number * DAY for number in reversed(range(30))]
    assert some(days()) == {TODAY - 29 * DAY: (0, 0, 1), TODAY - DAY: (0, 1, 0), TODAY: (1, 0, 0)}


def test_a_day_that_is_over_is_kept_and_survives_its_rows() -> None:
    made(TODAY - 2 * DAY)
    made(TODAY - 2 * DAY + HOUR, "failed")
    made(TODAY)
    settle()
    assert len(kept()) == 31
    assert kept()["2026-03-15"] == (1, 1)
    assert TODAY.strftime("%Y-%m-%d") not in kept()
    factories.execute(delete(Delivery))
    assert some(days()) == {TODAY - 2 * DAY: (1, 1, 0)}


def test_a_day_with_deliveries_that_wait_is_counted_live_until_no_retry_can_be_left() -> None:
    made(TODAY - 5 * DAY, "new")
    made(TODAY - 6 * DAY, "new")
    settle()
    assert "2026-03-12" not in kept()
    assert kept()["2026-03-11"] == (0, 0)
    assert some(days()) == {TODAY - 5 * DAY: (0, 0, 1)}
    settle(NOW + DAY)
    assert "2026-03-12" in kept()


def test_a_day_is_kept_before_its_delivered_ones_are_pruned() -> None:
    made(TODAY - 3 * DAY, "new")
    made(TODAY - 3 * DAY)
    settle(keep_processed_days=3)
    assert "2026-03-14" not in kept()
    settle(keep_processed_days=2)
    assert kept()["2026-03-14"] == (1, 0)


def test_days_of_long_ago_are_forgotten() -> None:
    with database.writing() as session:
        session.add(Day(day="2025-02-09", processed=1, failed=0))
        session.add(Day(day="2025-02-11", processed=1, failed=0))
    settle()
    assert [day for day in kept() if day < "2026"] == ["2025-02-11"]


@pytest.mark.usefixtures("each_app")
def test_two_passes_that_keep_the_same_day_do_not_fail() -> None:
    made(TODAY - DAY)

    looks: list[object] = []

    def other(*_: object) -> None:
        looks.append("given back")
        if len(looks) == 1:  # between the look of the first and its writing
            settle()

    db.session.rollback()
    event.listen(db.engine, "checkin", other)
    statistics.record_days(db.engine, 30, NOW)
    event.remove(db.engine, "checkin", other)
    assert kept()["2026-03-16"] == (1, 0)
    assert len(kept()) == 31


@pytest.mark.parametrize("by", ["pass", "command"])
def test_a_pass_and_the_command_that_prunes_keep_the_days(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guestbook.background.whole_pass.may_prune", lambda *_: True)
    made(TODAY - 2 * DAY)
    if by == "pass":
        factories.run_pass()
    else:
        assert current_app.test_cli_runner().invoke(args=["prune"]).exit_code == 0
    assert kept()["2026-03-15"] == (1, 0)


@pytest.mark.usefixtures("each_app")
def test_a_webhook_is_checked_by_its_last_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RATED_ATTEMPTS", 10)
    hook = factories.webhook()
    for minute in range(14):
        moment = NOW - timedelta(minutes=20 - minute)
        right = minute >= 7  # four of the failures are too old to count
        values = {"milliseconds": minute, "error": None if right else "No.", "started_at": moment}
        factories.attempt(made(moment, webhook_id=hook), **values)
    one = doing()
    assert (one.attempts, one.successes, one.median_milliseconds) == (10, 7, 8)


def test_untried_deliveries_do_not_hide_how_a_webhook_did_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RATED_ATTEMPTS", 3)
    hook = factories.webhook()
    factories.attempt(made(NOW - HOUR, webhook_id=hook), milliseconds=70, error=None)
    for second in range(4):
        made(NOW - timedelta(seconds=second), "new", hook)
    assert (doing().attempts, doing().median_milliseconds) == (1, 70)


def test_it_says_what_is_due_and_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = factories.webhook()
    for minutes in (-1, 0, 1, 2):
        factories.delivery(hook, due_at=NOW + timedelta(minutes=minutes))
    factories.delivery(hook, status="failed")
    assert (doing().waiting, doing().due) == (4, 2)
    monkeypatch.setattr(statistics, "COUNT_LIMIT", 2)
    assert (doing().waiting, doing().due) == (3, 2)
    assert statistics.overview(db.session(), NOW).deliveries_waiting == 3


@pytest.mark.usefixtures("each_app")
def test_the_overview_names_the_newest_comments_and_what_was_given_up_last() -> None:
    hook = factories.webhook(events="ping", name="Chat")
    for number in range(6):
        factories.sign(str(number))
        ago = (number * 5 % 6) * HOUR  # not in the order in which they were made
        factories.delivery(hook, status="failed", finished_at=NOW - ago, last_error=str(number * 5 % 6))
    held = statistics.overview(db.session(), NOW)
    assert [comment.message for comment in held.comments] == ["5", "4", "3", "2", "1"]
    assert [(row.last_error, name) for row, name in held.given_up] == [(str(n), "Chat") for n in range(5)]
    assert (held.deliveries_failed, held.held, held.has_more) == (6, 0, False)


def test_every_question_about_deliveries_goes_by_an_index_and_reads_no_more_than_it_must() -> None:
    made(NOW, "failed")
    db.session.rollback()
    with query_plans.statements() as executed:
        statistics.overview(db.session(), NOW)
    about = [one for one in executed if re.search(r"FROM (deliveries|comments|attempts)\b", one[0])]
    assert len(about) >= 8
    with db.engine.connect() as connection:
        for sql, values in about:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).mappings().all()
            steps = [row["detail"] for row in plan]
            scans = [step for step in steps if re.match(r"SCAN (deliveries|attempts)\b", step)]
            assert not scans, (sql, steps)
            sorts = [step for step in steps if "TEMP B-TREE" in step and "FROM attempts" not in sql]
            assert not sorts, (sql, steps)
            # At most 10,001 rows are read to tell those that wait from those that are retried.
            if "count(*)" in sql and "deliveries.attempts" not in sql:
                assert all("COVERING INDEX" in step for step in steps if "SEARCH deliveries" in step), steps

"""Refused comments are counted by day and reason, and never at the cost of a visitor's answer."""

import threading
from datetime import UTC, datetime

import pytest
from flask import Flask

from guestbook.comments.spam import spam_report
from guestbook.comments.spam.spam_report import RefusalCount
from guestbook.lib import clock
from guestbook.storage.database import db

DAYS = [datetime(2026, 1, day, 23, 59, 59, tzinfo=UTC) for day in (1, 2, 31)]


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: moment)


def test_each_reason_has_its_number_of_thirty_days_and_of_today(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        for day in DAYS:
            at(monkeypatch, day)
            for reason in ("rate", "rate", "answer"):
                spam_report.count_refusal(reason)
        spam_report.count_refusal("rate")
        found = spam_report.refused_lately(db.session(), DAYS[-1])
    assert found == [
        RefusalCount("rate", "Too many comments from one network", 5, 3),
        RefusalCount("answer", "The answer to your question was wrong", 2, 1),
    ]


def test_many_at_once_are_all_counted(each_app: Flask) -> None:
    def count() -> None:
        with each_app.app_context():
            for _ in range(5):
                spam_report.count_refusal("message")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    [found] = spam_report.refused_lately(db.session(), clock.now())
    assert found.number == 20


def test_without_the_table_the_visitor_is_answered_all_the_same(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with app.app_context():
        with db.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE refusals")
        spam_report.count_refusal("rate")
    assert "A refusal (rate) was not counted" in caplog.text

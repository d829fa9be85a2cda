"""Refused comments are counted by day and reason, and never at the cost of a visitor's answer."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import text

from guestbook.comments.spam import spam_report
from guestbook.comments.spam.spam_report import RefusalCount
from guestbook.lib import clock
from guestbook.storage.database import db
from tests.support import factories
from tests.support.at_once import at_once

pytestmark = pytest.mark.usefixtures("any_app")
DAYS = [datetime(2026, 1, day, 23, 59, 59, tzinfo=UTC) for day in (1, 2, 31)]


def test_each_reason_has_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    for day in DAYS:
        monkeypatch.setattr(clock, "now", lambda day=day: day)
        for reason in ("rate", "rate", "answer"):
            spam_report.count_refusal(reason)
    spam_report.count_refusal("rate")
    found = spam_report.refused_lately(db.session(), DAYS[-1])
    assert found == [
        RefusalCount("rate", "Too many comments from one network", 5, 3),
        RefusalCount("answer", "The answer to your question was wrong", 2, 1),
    ]


def test_many_at_once_are_all_counted(each_app: Flask) -> None:
    at_once(each_app, 4, lambda _: [spam_report.count_refusal("message") for _ in range(5)])
    [found] = spam_report.refused_lately(db.session(), clock.now())
    assert found.number == 20


def test_without_the_table_the_visitor_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    factories.execute(text("DROP TABLE refusals"))
    spam_report.count_refusal("rate")
    assert "A refusal (rate) was not counted" in caplog.text

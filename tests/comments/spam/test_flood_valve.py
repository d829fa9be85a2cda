"""A flood: more comments in a minute than the owner allows hold all others for an hour."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from guestbook.comments.spam import spam_report
from guestbook.storage.database import db, writing
from tests.support import factories

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEY = "a secret key"

pytestmark = pytest.mark.usefixtures("app")


def pass_one(seconds: float, most: int = 3) -> datetime | None:
    with writing() as session:
        return spam_report.pass_one(session.connection(), KEY, NOW + timedelta(seconds=seconds), most)


def held_until(seconds: float) -> datetime | None:
    return spam_report.held_until(db.session().connection(), KEY, NOW + timedelta(seconds=seconds))


def test_the_limit_is_exact_and_then_all_are_held_for_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert [pass_one(10 * number) for number in range(3)] == [None] * 3
    end = NOW + timedelta(seconds=30, hours=1)
    assert pass_one(30) == end
    assert [pass_one(seconds) for seconds in (31, 1000, 3629)] == [end] * 3
    assert held_until(3629) == end
    assert held_until(3631) is None
    assert pass_one(3631) is None
    [line] = [record.getMessage() for record in caplog.records if record.name == spam_report.__name__]
    assert line.startswith("More than 3 comments came within a minute, so new ones are held for an hour.")


def test_the_owner_can_end_it() -> None:
    for _ in range(4):
        last = pass_one(0)
    assert last
    factories.written(lambda session: spam_report.end_flood(session.connection(), KEY))
    assert held_until(1) is None
    assert pass_one(1) is None

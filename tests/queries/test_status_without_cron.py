"""An owner whose requests or pinger do the work of cron is not told to add a crontab line."""

from datetime import timedelta

import pytest

from guestbook.lib import clock
from guestbook.queries import cron_status
from guestbook.storage import cron_token
from guestbook.storage.database import db, writing
from tests.support import factories

pytestmark = pytest.mark.usefixtures("app")
HOUR = timedelta(hours=1)


def read(*, after_requests: bool) -> cron_status.CronStatus:
    db.session.rollback()
    return cron_status.in_words(db.session(), clock.now(), after_requests=after_requests)


def test_requests_need_not_send_while_nothing_is_due() -> None:
    assert read(after_requests=True).word == "well"
    factories.past_pass(5 * HOUR)
    found = read(after_requests=True)
    assert (found.word, found.advice) == ("well", None)
    assert "5 hours ago" in found.sentence
    assert read(after_requests=False).has_line


def test_what_is_long_due_is_late_and_a_pinger_helps() -> None:
    factories.delivery(factories.webhook(), due_at=clock.now() - HOUR)
    found = read(after_requests=True)
    assert (found.word, found.has_line) == ("late", False)
    assert "pinger" in (found.advice or "")


def test_where_a_pinger_has_an_address_no_crontab_line_is_shown() -> None:
    with writing() as session:
        cron_token.make(session)
    found = read(after_requests=False)
    assert (found.word, found.has_line) == ("never", False)
    assert "pinger" in (found.advice or "")
    assert "If you use cron instead, remove that address there" in (found.advice or "")

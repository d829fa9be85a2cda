"""The status of cron in words, with advice where something is to be done."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import update

from guestbook.lib import clock
from guestbook.queries import cron_status
from guestbook.queries.cron_status import CronStatus
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Pass
from tests.support import factories

MINUTE = timedelta(minutes=1)


def cron() -> CronStatus:
    db.session.rollback()
    return cron_status.in_words(db.session(), clock.now())


@pytest.mark.usefixtures("each_app")
def test_cron_that_has_never_come_is_said_with_what_to_do() -> None:
    assert cron().word == "never"
    assert "crontab -e" in str(cron().advice)


@pytest.mark.usefixtures("each_app")
def test_the_last_pass_is_told_in_plain_words() -> None:
    factories.past_pass(2 * MINUTE, processed=99)
    factories.past_pass(timedelta(seconds=59), processed=1200, retried=1)
    assert (cron().word, cron().advice) == ("well", None)
    assert re.fullmatch(
        r"A pass ended (59 seconds|1 minute) ago after 0.0 seconds: 1,200 delivered, 1 to be retried.",
        cron().sentence,
    )


@pytest.mark.usefixtures("app")
def test_a_pass_with_nothing_to_do_says_so_and_how_long_it_took() -> None:
    factories.past_pass(timedelta(seconds=50))
    with database.write(db.engine) as connection:
        connection.execute(update(Pass).values(finished_at=clock.now() - timedelta(seconds=8)))
    assert re.search(r"ended (8|9) seconds ago after 42 seconds: nothing was due.$", cron().sentence)


@pytest.mark.usefixtures("app")
def test_a_pass_that_is_at_work_just_now_is_said_beside_the_last_that_ended() -> None:
    factories.past_pass(MINUTE, failed=2)
    factories.past_pass(timedelta(seconds=5), ended=False)
    assert cron().word == "running"
    assert re.match(r"A pass is at work; it began [5-7] seconds ago. A pass ended 1 minute", cron().sentence)


@pytest.mark.usefixtures("app")
def test_a_pass_that_began_long_ago_may_have_been_killed() -> None:
    factories.past_pass(180 * MINUTE, ended=False)
    assert cron().word == "running"
    assert "began 3 hours ago and has not come to its end" in cron().sentence


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("ended", [True, False])
def test_when_deliveries_have_been_due_for_long_cron_is_late(ended: bool) -> None:
    factories.delivery(factories.webhook(), due_at=clock.now() - 20 * MINUTE)
    factories.past_pass(16 * MINUTE, ended=ended)
    assert cron().word == "late"
    assert cron().sentence.startswith("Deliveries are due, and no pass of cron")
    assert "crontab -l" in str(cron().advice)


@pytest.mark.usefixtures("app")
def test_cron_that_stays_away_is_late_even_when_nothing_waits() -> None:
    factories.past_pass(16 * MINUTE)
    assert cron().word == "late"
    assert cron().sentence.endswith("Nothing has had to wait so far.")

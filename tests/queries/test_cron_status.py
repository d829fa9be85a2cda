"""Whether cron runs: health by the ages of the last pass and of what waits, and the status in words."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from guestbook.lib import clock
from guestbook.queries import cron_status
from guestbook.queries.cron_status import CronStatus, Health
from guestbook.storage import cron_token
from guestbook.storage.database import db
from guestbook.storage.models import Pass
from tests.support import factories

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def read() -> Health:
    db.session.rollback()
    return cron_status.read(db.session(), clock.now())


def cron(*, after_requests: bool = False) -> CronStatus:
    db.session.rollback()
    return cron_status.in_words(db.session(), clock.now(), after_requests=after_requests)


@pytest.mark.parametrize(("last_pass", "oldest_due", "well"), [
    (None, None, True),
    (10**6, None, True),
    (None, 899, True),
    (None, 900, False),
    (899, 10**6, True),
    (900, 10**6, False),
    (900, 899, True),
])  # fmt: skip
def test_it_is_well_unless_something_waits_for_cron(last_pass: Any, oldest_due: Any, well: bool) -> None:
    assert Health(last_pass, oldest_due).is_well is well


@pytest.mark.usefixtures("each_app")
def test_it_tells_the_ages_of_the_last_pass_and_of_what_waits_longest() -> None:
    assert read() == Health(None, None)
    hook, other = factories.webhook(), factories.webhook()
    factories.past_pass(40 * MINUTE)
    factories.past_pass(20 * MINUTE)
    for webhook_id, minutes in ((hook, 10), (other, 30), (other, -30)):
        factories.delivery(webhook_id, due_at=clock.now() - minutes * MINUTE)
    factories.delivery(hook, status="failed", created_at=clock.now() - 90 * MINUTE)
    state = read()
    assert state.last_pass_age == pytest.approx(20 * 60, abs=10)
    assert state.oldest_due_age == pytest.approx(30 * 60, abs=10)
    assert not state.is_well


@pytest.mark.usefixtures("each_app")
def test_what_waits_for_a_disabled_or_paused_webhook_does_not_count() -> None:
    now = clock.now()
    disabled = factories.webhook(disabled_at=now, disabled_reason="by_hand")
    paused = factories.webhook(paused_until=now + MINUTE)
    for hook in (disabled, paused):
        factories.delivery(hook, due_at=now - 60 * MINUTE)
    assert read().oldest_due_age is None
    over = factories.webhook(paused_until=now - MINUTE)
    factories.delivery(over, due_at=now - 30 * MINUTE)
    assert read().oldest_due_age == pytest.approx(30 * 60, abs=10)


def test_a_pass_that_a_clock_put_in_the_future_does_not_count() -> None:
    factories.past_pass(30 * MINUTE)
    factories.past_pass(-20 * MINUTE)
    assert read().last_pass_age == pytest.approx(30 * 60, abs=10)


@pytest.mark.usefixtures("each_app")
def test_passes_that_start_and_never_end_are_no_sign_of_life() -> None:
    factories.delivery(factories.webhook(), due_at=clock.now() - 20 * MINUTE)
    factories.past_pass(16 * MINUTE)
    for minutes in range(15):
        factories.past_pass(minutes * MINUTE, ended=False)
    assert not read().is_well
    factories.past_pass(timedelta())
    assert read().is_well


def test_a_long_pass_that_still_runs_is_well_while_nothing_waits_long() -> None:
    factories.past_pass(600 * MINUTE, ended=False)
    factories.delivery(factories.webhook(), due_at=clock.now() - 14 * MINUTE)
    assert read().is_well


# --- in words


WORK = {"processed": 1200, "retried": 1}
PLAIN = r"A pass ended (59 seconds|1 minute) ago after 0.0 seconds: 1,200 delivered, 1 to be retried\.$"
BESIDE = r"A pass is at work; it began [5-7] seconds ago. A pass ended 1 minute"
DUE = "Deliveries are due, and no pass of cron"


@pytest.mark.usefixtures("each_app")
@pytest.mark.parametrize(("passes", "due", "word", "sentence", "advice"), [
    ([], None, "never", "Cron has never come", "crontab -e"),
    ([(2, True, {"processed": 99}), (59 / 60, True, WORK)], None, "well", PLAIN, ""),
    ([(1, True, {"failed": 2}), (5 / 60, False, {})], None, "running", BESIDE, ""),
    ([(180, False, {})], None, "running", ".*began 3 hours ago and has not come to its end", ""),
    ([(16, True, {})], 20, "late", DUE, "crontab -l"),
    ([(16, False, {})], 20, "late", DUE, "crontab -l"),
    ([(16, True, {})], None, "late", r".*Nothing has had to wait so far\.$", "crontab -l"),
])  # fmt: skip
def test_passes_are_told_in_words(passes: Any, due: Any, word: str, sentence: str, advice: str) -> None:
    if due:
        factories.delivery(factories.webhook(), due_at=clock.now() - due * MINUTE)
    for minutes, ended, did in passes:
        factories.past_pass(minutes * MINUTE, ended=ended, **did)
    found = cron()
    assert found.word == word
    assert re.match(sentence, found.sentence), found.sentence
    assert advice in str(found.advice) if advice else found.advice is None


def test_a_pass_with_nothing_to_do_says_so_and_how_long_it_took() -> None:
    factories.past_pass(timedelta(seconds=50))
    factories.execute(update(Pass).values(finished_at=clock.now() - timedelta(seconds=8)))
    assert re.search(r"ended (8|9) seconds ago after 42 seconds: nothing was due.$", cron().sentence)


# --- where requests or a pinger do the work of cron


def test_requests_need_not_send_while_nothing_is_due() -> None:
    assert cron(after_requests=True).word == "well"
    factories.past_pass(5 * HOUR)
    found = cron(after_requests=True)
    assert (found.word, found.advice) == ("well", None)
    assert "5 hours ago" in found.sentence
    assert cron(after_requests=False).has_line


def test_what_is_long_due_is_late_and_a_pinger_helps() -> None:
    factories.delivery(factories.webhook(), due_at=clock.now() - HOUR)
    found = cron(after_requests=True)
    assert (found.word, found.has_line) == ("late", False)
    assert "pinger" in (found.advice or "")


def test_where_a_pinger_has_an_address_no_crontab_line_is_shown() -> None:
    factories.written(lambda session: cron_token.make(session))
    found = cron(after_requests=False)
    assert (found.word, found.has_line) == ("never", False)
    assert "pinger" in (found.advice or "")
    assert "If you use cron instead, remove that address there" in (found.advice or "")

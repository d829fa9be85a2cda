"""Health: something has been due for a quarter of an hour, and no pass has ended."""

from datetime import timedelta

import pytest

from guestbook.lib import clock
from guestbook.queries import cron_status
from guestbook.queries.cron_status import Health
from guestbook.storage.database import db
from tests.support import factories

MINUTE = timedelta(minutes=1)


def read() -> Health:
    db.session.rollback()
    return cron_status.read(db.session(), clock.now())


@pytest.mark.parametrize(
    ("last_pass", "oldest_due", "well"),
    [
        (None, None, True),
        (10**6, None, True),
        (None, 899, True),
        (None, 900, False),
        (899, 10**6, True),
        (900, 10**6, False),
        (900, 899, True),
    ],
)
def test_it_is_well_unless_something_waits_and_cron_does_not_come(
    last_pass: float | None, oldest_due: float | None, well: bool
) -> None:
    assert Health(last_pass, oldest_due).is_well is well


@pytest.mark.usefixtures("each_app")
def test_a_new_book_is_well() -> None:
    assert read() == Health(None, None)


@pytest.mark.usefixtures("each_app")
def test_it_tells_the_ages_of_the_last_pass_and_of_what_waits_longest() -> None:
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


@pytest.mark.usefixtures("app")
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


@pytest.mark.usefixtures("app")
def test_a_long_pass_that_still_runs_is_well_while_nothing_waits_long() -> None:
    factories.past_pass(600 * MINUTE, ended=False)
    factories.delivery(factories.webhook(), due_at=clock.now() - 14 * MINUTE)
    assert read().is_well

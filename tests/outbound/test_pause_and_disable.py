"""When a webhook is paused, when it is disabled, and how it comes back."""

from datetime import UTC, datetime, timedelta

import pytest

from guestbook.lib.retry_policy import PAUSE_AFTER
from guestbook.outbound.pause_and_disable import DISABLE_AFTER, DISABLE_AFTER_TIME, note_failure, note_success
from guestbook.storage.models import Webhook

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


@pytest.fixture
def webhook() -> Webhook:
    counted = {"failures_in_a_row": 0, "unreachable_in_a_row": 0}
    return Webhook(url="https://old.example/", events="comment.created ping", **counted)


def fail(
    webhook: Webhook, now: datetime = NOW, *, unreachable: bool = False, pause: float = 0, times: int = 1
) -> None:
    for _ in range(times):
        note_failure(webhook, now, unreachable=unreachable, pause=pause)


def test_five_unreachable_in_a_row_pause_it_and_four_do_not(webhook: Webhook) -> None:
    fail(webhook, unreachable=True, times=PAUSE_AFTER - 1)
    assert webhook.paused_until is None
    fail(webhook, unreachable=True)
    assert webhook.paused_until is not None
    assert timedelta(seconds=24) <= webhook.paused_until - NOW <= timedelta(seconds=36)


def test_an_answer_however_bad_ends_the_row_of_unreachable_ones(webhook: Webhook) -> None:
    fail(webhook, unreachable=True, times=PAUSE_AFTER - 1)
    fail(webhook)
    fail(webhook, unreachable=True)
    assert webhook.paused_until is None
    assert (webhook.failures_in_a_row, webhook.unreachable_in_a_row) == (PAUSE_AFTER + 1, 1)


def test_each_failed_probe_doubles_the_pause_up_to_an_hour(webhook: Webhook) -> None:
    now, waits = NOW, []
    for number in range(20):
        fail(webhook, now, unreachable=True)
        if number >= PAUSE_AFTER - 1:
            assert webhook.paused_until
            waits.append((webhook.paused_until - now).total_seconds())
            now = webhook.paused_until
    assert all(0.8 * 30 * 2**n <= wait <= 1.2 * 30 * 2**n for n, wait in enumerate(waits[:7]))
    assert all(0.8 * 3600 <= wait <= 1.2 * 3600 for wait in waits[7:])


def test_what_was_under_way_when_it_was_paused_makes_the_pause_no_longer(webhook: Webhook) -> None:
    fail(webhook, unreachable=True, times=PAUSE_AFTER)
    paused_until = webhook.paused_until
    for seconds in (0, 1, 15):
        fail(webhook, NOW + seconds * SECOND, unreachable=True)
    assert (webhook.paused_until, webhook.unreachable_in_a_row) == (paused_until, PAUSE_AFTER)
    assert webhook.failures_in_a_row == PAUSE_AFTER + 3


def test_a_pause_that_the_receiver_asked_for_is_kept_and_capped_at_a_day(webhook: Webhook) -> None:
    fail(webhook, pause=90)
    fail(webhook, pause=10)  # a shorter wish
    fail(webhook)
    note_success(webhook)
    assert webhook.paused_until == NOW + 90 * SECOND
    fail(webhook, pause=10**9)
    assert webhook.paused_until == NOW + DAY


def test_a_success_reopens_it(webhook: Webhook) -> None:
    fail(webhook, unreachable=True, times=PAUSE_AFTER)
    note_success(webhook)
    assert webhook.paused_until is webhook.failing_since is None
    assert webhook.failures_in_a_row == webhook.unreachable_in_a_row == 0


@pytest.mark.parametrize(
    ("times", "later", "reason"),
    [
        (DISABLE_AFTER - 1, DISABLE_AFTER_TIME, "failing"),
        (DISABLE_AFTER - 2, 30 * DAY, None),  # nine failures, whatever the time
        (1000, DISABLE_AFTER_TIME - SECOND, None),
    ],
)
def test_ten_failures_over_five_days_disable_it(
    webhook: Webhook, times: int, later: timedelta, reason: str | None
) -> None:
    fail(webhook, times=times)
    fail(webhook, NOW + later)
    assert (webhook.disabled_at, webhook.disabled_reason) == (NOW + later if reason else None, reason)


def test_a_success_in_between_starts_the_five_days_anew(webhook: Webhook) -> None:
    for day in range(4):
        fail(webhook, NOW + day * DAY, times=5)
    note_success(webhook)
    fail(webhook, NOW + 4 * DAY, times=20)
    fail(webhook, NOW + 8 * DAY)
    assert webhook.disabled_at is None
    fail(webhook, NOW + 9 * DAY)
    assert webhook.disabled_reason == "failing"


def test_to_enable_it_or_to_move_it_gives_it_a_clean_record(webhook: Webhook) -> None:
    fail(webhook, unreachable=True, times=20)
    fail(webhook, NOW + DISABLE_AFTER_TIME)
    webhook.enable()
    assert webhook.disabled_at is webhook.disabled_reason is webhook.paused_until is None
    fail(webhook, NOW + 2 * DISABLE_AFTER_TIME)
    assert webhook.disabled_at is None
    fail(webhook, unreachable=True, times=PAUSE_AFTER)
    webhook.move("https://new.example/", webhook.format)
    assert (webhook.url, webhook.paused_until, webhook.failures_in_a_row) == ("https://new.example/", None, 0)

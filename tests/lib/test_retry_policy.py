"""When to try again: later and later, within its jitter, never in the past, never beyond the cap."""

import random
import time
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given, strategies as st

from guestbook.lib import retry_policy
from guestbook.settings import load

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
DAY = 86400.0
USUAL = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)

STEPS = st.lists(st.floats(0, 30 * DAY), min_size=1, max_size=50).map(tuple)
LUCK = st.floats(-1, 1)
REQUESTED_WAITS = st.floats(0, 1e300)


def wait(
    steps: tuple[float, ...], made: int, requested_wait: float = 0, luck: float | None = None
) -> float | None:
    due = retry_policy.next_due(steps, made, NOW, at_least=requested_wait, luck=luck)
    return None if due is None else (due - NOW).total_seconds()


def test_the_default_schedule_is_that_of_standard_webhooks(environ: dict[str, str]) -> None:
    assert load(environ).retry_schedule == USUAL


def test_the_usual_waits_grow_to_a_day_and_then_end() -> None:
    waits = [wait(USUAL, made, luck=0) for made in range(1, 11)]
    assert waits == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, None]


@given(STEPS, st.integers(0, 60), REQUESTED_WAITS, LUCK)
def test_no_wait_is_in_the_past_nor_beyond_what_repair_takes_for_right(
    steps: tuple[float, ...], made: int, requested_wait: float, luck: float
) -> None:
    seconds = wait(steps, made, requested_wait, luck)
    if made >= len(steps):
        assert seconds is None
    else:
        assert seconds is not None
        assert 0 <= seconds <= retry_policy.longest_wait(steps).total_seconds() + 0.001


@given(STEPS, st.data())
def test_the_jitter_is_a_fifth_either_way(steps: tuple[float, ...], data: st.DataObject) -> None:
    made = data.draw(st.integers(0, len(steps) - 1))
    seconds = wait(steps, made)
    assert seconds is not None
    assert 0.8 * steps[made] - 0.001 <= seconds <= 1.2 * steps[made] + 0.001


def test_the_first_attempt_is_due_at_once_and_no_wait_is_longer_than_the_longest() -> None:
    assert retry_policy.next_due(USUAL, 0, NOW) == NOW
    assert wait(USUAL, 9, luck=1) == retry_policy.longest_wait(USUAL).total_seconds() == 1.2 * DAY


def test_chance_moves_a_wait_to_both_sides_and_uses_the_whole_fifth() -> None:
    random.seed(7)
    waits = [wait((100.0,), 0) or 0 for _ in range(300)]
    assert 80 <= min(waits) < 82
    assert 118 < max(waits) <= 120
    assert [wait((100.0,), 0, luck=luck) for luck in (-1, 0, 1)] == [80, 100, 120]


@given(STEPS, REQUESTED_WAITS, LUCK)
def test_what_the_receiver_asks_is_a_floor_up_to_a_day(
    steps: tuple[float, ...], requested_wait: float, luck: float
) -> None:
    seconds = wait(steps, 0, requested_wait, luck)
    assert seconds is not None
    assert seconds >= min(requested_wait, DAY) - 0.001
    assume(requested_wait > 0)
    assert seconds <= max(1.2 * steps[0], min(requested_wait, DAY)) + 0.001


@given(st.integers(0, 10**9), LUCK)
def test_pauses_double_up_to_an_hour_and_never_overflow(pauses: int, luck: float) -> None:
    seconds = (retry_policy.pause_until(NOW, pauses, luck) - NOW).total_seconds()
    plain = min(30 * 2 ** min(pauses, 10), 3600)
    assert 0.8 * plain - 0.001 <= seconds <= 1.2 * plain + 0.001


def test_a_pause_doubles_and_moves_by_its_luck() -> None:
    waits = [retry_policy.pause_until(NOW, pauses, luck=0) - NOW for pauses in (0, 1, 2, 6, 7)]
    assert [one.total_seconds() for one in waits] == [30, 60, 120, 1920, 3600]
    assert (retry_policy.pause_until(NOW, 0, luck=1) - NOW).total_seconds() == 36


@pytest.mark.parametrize("timeout", [1, 10])
def test_a_lease_holds_for_two_time_outs_and_half_a_minute(timeout: float) -> None:
    assert retry_policy.lease(timeout).total_seconds() == 2 * timeout + 30


def test_servers_that_are_too_busy_or_broken_may_answer_with_another_status_later() -> None:
    statuses = (200, 400, 404, 408, 410, 425, 429, 499, 500, 521, 599)
    passing = [status for status in statuses if retry_policy.may_pass(status)]
    assert passing == [408, 425, 429, 500, 521, 599]


RETRY_AFTER: dict[float, list[str | None]] = {
    120: ["120"],
    1.5: ["1.5"],
    0.25: [".25"],
    7: [" 7 "],
    30: [
        *("Sat, 31 Jan 2026 12:00:30 GMT", "Saturday, 31-Jan-26 12:00:30 GMT", "Sat Jan 31 12:00:30 2026"),
        "Sat, 31 Jan 2026 13:00:30 +0100",
    ],
    DAY: ["Sat, 31 Jan 2099 12:00:00 GMT", "86401", "1e300", "9" * 400],
    0: [
        *("0", "Sat, 31 Jan 2026 11:00:00 GMT", "-5", "-1e300", "nan", "", None, "soon", "120, 120"),
        *("12 minutes", "Sat, 31 Foo 2026 12:00:30 GMT", "Sat, 99 Jan 2026 12:00:30 GMT"),
        *("Sat, 31 Jan 99999999999999 12:00:30 GMT", "Sat, 31 Jan 2026 12:00:30 +99999999999"),
        "Mon, 01 Jan 0001 00:00:00 +2300",
    ],
}


@pytest.mark.parametrize(
    ("seconds", "text"), [(one, text) for one in RETRY_AFTER for text in RETRY_AFTER[one]]
)
def test_every_form_of_retry_after(seconds: float, text: str | None) -> None:
    assert retry_policy.retry_after(text, NOW) == pytest.approx(seconds)


def test_a_date_without_a_zone_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        seconds = retry_policy.retry_after("Sat Jan 31 12:00:30 2026", NOW)
    time.tzset()
    assert seconds == 30

"""A limit holds in any window of time."""

import pytest
from hypothesis import given, strategies as st

from guestbook.lib.rate_counters import (
    BEGIN_WITHIN,
    LONGEST_ROOM_WAIT,
    STATEMENT_SKEW,
    RateLimit,
    SlidingLog,
    WindowCounter,
)

START = 1_769_860_800.0  # seconds since 1970
LIMITS = st.builds(RateLimit, st.integers(1, 8), st.sampled_from((1, 60)))
CLAIMS = st.lists(
    st.tuples(
        st.floats(0, 20),  # seconds since the claim before
        st.integers(1, 12),  # how many it would like
        st.floats(0, 1),  # how late the attempts begin, as a share of the time that they have
        st.booleans(),  # whether the log learns of it
    ),
    max_size=25,
)


def window_of_most(begun: list[float], seconds: float) -> int:
    """Return the most attempts that began in any window of that length."""
    return max((sum(first <= one < first + seconds for one in begun) for first in begun), default=0)


@given(LIMITS, CLAIMS)
def test_no_window_exceeds_the_limit(limit: RateLimit, claims: list[tuple[float, int, float, bool]]) -> None:
    now, text, begun = START, "", list[float]()
    used: list[tuple[int, float]] = []  # entries, and when their attempts began
    for gap, wish, lateness, is_known in claims:
        now += gap * limit.seconds / 20
        log = SlidingLog(limit, text, now)
        for entry, at in [one for one in used if one[1] <= now]:
            log.move(entry, at)
        used = [one for one in used if one[1] > now]
        number = min(wish, log.room)
        if number:
            entry, at = log.enter(now + BEGIN_WITHIN, number), now + lateness * BEGIN_WITHIN
            begun += [at] * number
            used += [(entry, at)] * number * is_known
        assert log.room == limit.number - sum(int(one.split(":")[1]) for one in log.text.split())
        text = log.text
    assert window_of_most(begun, limit.seconds) <= limit.number


@given(LIMITS, st.integers(1, 8), st.floats(0, 200))
def test_a_full_log_has_room_again_exactly_when_it_says(limit: RateLimit, number: int, later: float) -> None:
    log = SlidingLog(limit, "", START)
    log.enter(START, min(number, limit.number))
    assert (log.opens_in > 0) == (log.room == 0)
    if not log.room:
        opens_at = START + log.opens_in
        assert SlidingLog(limit, log.text, opens_at - 0.001).room == 0
        assert SlidingLog(limit, log.text, opens_at + later + 0.001).room == limit.number


def test_an_attempt_that_began_counts_from_then_and_one_that_did_not_never_counts() -> None:
    log = SlidingLog(RateLimit(2, 1), "", START)
    entry = log.enter(START + BEGIN_WITHIN, 2)
    assert BEGIN_WITHIN < log.opens_in - 1 < BEGIN_WITHIN + 0.1
    log.move(entry, START)
    assert (log.room, 1 <= log.opens_in < 1.1) == (0, True)
    log.move(entry, None)
    assert (log.room, log.opens_in) == (1, 0)


def test_a_log_from_before_the_clock_went_back_opens_within_the_longest_wait() -> None:
    limit = RateLimit(1, 60)
    log = SlidingLog(limit, "", START + 86400 * 365)
    log.enter(START + 86400 * 365)
    again = SlidingLog(limit, log.text, START)
    assert 60 < again.opens_in <= LONGEST_ROOM_WAIT
    assert LONGEST_ROOM_WAIT == 60 + BEGIN_WITHIN + 2 * STATEMENT_SKEW


def test_text_that_was_garbled_by_hand_counts_as_far_as_it_can_be_read() -> None:
    assert SlidingLog(RateLimit(5, 1), f"what? 12: {START * 1000:.0f}:2 :9", START).room == 3
    assert RateLimit.stored("often") == RateLimit(1, 60)


@pytest.mark.parametrize(
    ("written", "limit"), [("30/m", (30, 60)), (" 5 / S ", (5, 1)), ("10000/s", (10_000, 1))]
)
def test_a_limit_is_read(written: str, limit: tuple[int, int]) -> None:
    assert RateLimit.read(written) == limit
    assert RateLimit.read(str(RateLimit.read(written))) == limit


@pytest.mark.parametrize("written", ["", "0/m", "10001/s", "5", "5/h", "-1/s", "1.5/s", "٣/s"])
def test_another_limit_is_refused_with_examples(written: str) -> None:
    with pytest.raises(ValueError, match=r"from 1 to 10,000 per second or per minute, such as 5/s or 30/m"):
        RateLimit.read(written)


def test_so_many_are_let_through_and_then_none_until_the_stretch_ends() -> None:
    counter = WindowCounter(2, 60)
    taken = [counter.take("one", now) for now in (120, 130, 140, 179.5)]
    assert taken == [(1, 60), (0, 50), (-1, 40), (-1, 0.5)]
    assert counter.take("another", 150) == (1, 30)
    assert counter.take("one", 180) == (1, 60)

"""Limits: counted by network, in the database, and right whatever the clock does."""

from datetime import UTC, datetime, timedelta

import pytest

from guestbook.auth import rate_limit
from guestbook.auth.rate_limit import GuessLimit, NetworkLimit
from guestbook.storage.database import db, writing
from guestbook.storage.models import Limit

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = "a secret key"
pytestmark = pytest.mark.usefixtures("any_app")


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def knock(seconds: float, free: int = 3, name: str = "a" * 64) -> float:
    with writing() as session:
        return rate_limit.knock(session.connection(), name, at(seconds), free=free)


def take(seconds: float, most: int = 2, name: str = "a" * 64) -> float:
    with writing() as session:
        return rate_limit.take(session.connection(), name, at(seconds), most, HOUR)


def count(seconds: float) -> int:
    row = rate_limit.counted(db.session().connection(), "a" * 64, at(seconds), HOUR)
    return row.hits if row else 0


def test_the_first_knocks_are_free_and_then_the_waits_double() -> None:
    assert [knock(0) for _ in range(3)] == [0, 0, 0]
    assert knock(0) == 1
    assert knock(0.4) == pytest.approx(0.6)
    assert knock(1) == 0
    assert knock(1) == 2
    assert knock(3) == 0
    assert knock(3) == 4


def test_no_wait_is_longer_than_a_quarter_of_an_hour() -> None:
    seconds = 0.0
    for _ in range(41):
        seconds += knock(seconds)
    assert knock(seconds) == rate_limit.LONGEST_TRY_WAIT == 900


def test_a_day_of_silence_is_a_new_beginning() -> None:
    for _ in range(4):
        knock(0)
    assert [knock(86_400) for _ in range(4)] == [0, 0, 0, 1]


def test_so_many_may_be_taken_within_the_time_and_then_again() -> None:
    assert [take(0), take(60)] == [0, 0]
    assert take(60) == 3540
    assert take(3599.5) == 1
    assert take(3600) == 0


def test_what_was_taken_can_be_counted_until_the_time_is_over() -> None:
    assert count(0) == 0
    take(0)
    take(1)
    take(2)
    assert (count(3), count(3599), count(3600)) == (2, 2, 0)


def test_what_a_clock_that_ran_ahead_has_counted_does_not_hold_for_ever() -> None:
    assert [take(10**8), take(10**8)] == [0, 0]
    assert count(0) == 0
    assert [take(0), take(0), take(0)] == [0, 0, 3600]


def test_who_looked_at_the_clock_before_another_and_came_after_is_counted_too() -> None:
    assert [take(2), take(0), take(1)] == [0, 0, 3601]
    assert count(1) == 2


@pytest.mark.parametrize(("one", "other"), [
    ("192.0.2.1", "::ffff:192.0.2.1"),
    ("192.0.2.1", "192.0.2.1:50001"),
    ("192.0.2.1:50000", "192.0.2.1:50001"),
    ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
    ("2001:db8:1:2::1", "[2001:DB8:1:2::1]:443"),
    ("2001:db8:1:2::1", "[2001:db8:1:2::9]"),
    ("fe80::1%eth0", "fe80::1%eth1"),
    ("", ""),
    ("unix:", "unix:"),
])  # fmt: skip
def test_these_are_of_one_network(one: str, other: str) -> None:
    assert rate_limit.who(KEY, "login", one) == rate_limit.who(KEY, "login", other)


@pytest.mark.parametrize(("one", "other"), [
    ("192.0.2.1", "192.0.2.2"),
    ("2001:db8:1:2::1", "2001:db8:1:3::1"),
    ("::ffff:192.0.2.1", "::ffff:192.0.2.2"),
    ("::c000:201", "192.0.2.1"),
    ("", "unix:"),
    ("everybody", None),
    ("", None),
])  # fmt: skip
def test_these_are_of_two(one: str, other: str | None) -> None:
    assert rate_limit.who(KEY, "login", one) != rate_limit.who(KEY, "login", other)


MIDNIGHT = datetime(2026, 2, 1, tzinfo=UTC)
TEN_MINUTES = timedelta(minutes=10)


def visit(seconds: float, address: str = "203.0.113.9") -> float:
    """Take one of three in ten minutes, so many seconds after midnight."""
    with writing() as session:
        limit = NetworkLimit(KEY, "comment", address, 3, TEN_MINUTES)
        return limit.take_by_day(session.connection(), MIDNIGHT + timedelta(seconds=seconds))


def test_a_larger_ipv6_network_may_do_ten_times_as_much_as_each_within_it() -> None:
    def taken(address: str) -> tuple[bool, ...]:
        by_day = NetworkLimit(KEY, "day", address, 2, TEN_MINUTES)
        with writing() as session:
            at = session.connection()
            left, _ = by_day.left_by_day(at, MIDNIGHT)
            waits = (
                NetworkLimit(KEY, "take", address, 2, TEN_MINUTES).take(at, MIDNIGHT),
                by_day.take_by_day(at, MIDNIGHT),
                GuessLimit(KEY, "guess", address).begin(at, MIDNIGHT),
            )
        assert (left == 0) == bool(waits[1])
        return tuple(bool(wait) for wait in waits)

    for number in range(10):
        assert [taken(f"2001:db8:1:{number}::1") for _ in range(3)] == [
            (False, False, False), (False, False, False), (True, True, False)
        ]  # fmt: skip
    assert taken("2001:db8:1:10::1") == (True, True, False)
    for number in range(20, 40):
        taken(f"2001:db8:1:{number}::1")
    assert taken("2001:db8:1:40::1") == (True, True, True)
    assert taken("2001:db8:2::1") == (False, False, False)


def names() -> set[str]:
    return {row.who for row in db.session.query(Limit) if row.hits}


def test_a_network_has_another_name_each_day() -> None:
    for day in range(3):
        assert visit(86400 * day + 40_000) == 0
    assert len(names()) == 3


def test_the_limit_is_exact_while_the_name_rotates() -> None:
    assert [visit(seconds) for seconds in (-300, -1, 1)] == [0, 0, 0]
    assert visit(2) == 298
    assert visit(299) == 1
    assert [visit(seconds) for seconds in (301, 302, 303)] == [0, 0, 0]
    assert visit(304) == 597
    assert len(names()) == 2


def test_it_is_exact_where_one_servers_clock_is_a_minute_ahead() -> None:
    ahead, behind = 20, -30
    assert [visit(ahead), visit(behind), visit(ahead + 1)] == [0, 0, 0]
    assert visit(behind + 1) > 0
    assert visit(ahead + 2) > 0


@pytest.mark.parametrize("start", range(-700, 700, 97))
def test_no_ten_minutes_begin_with_more_than_the_limit(start: int) -> None:
    taken = [visit(start + seconds) for seconds in range(0, 590, 30)]
    assert taken.count(0) == 3

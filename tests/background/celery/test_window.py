"""How many rows of one webhook are in flight: more as they get done, fewer when workers give some back."""

from collections import Counter
from itertools import chain

import pytest

from guestbook.background.celery import relay
from guestbook.background.celery.messages import Handover
from guestbook.background.celery.relay import FIRST_SIZE, LARGEST_SIZE, Window, in_messages


def publish_all(some: Window) -> set[str]:
    """Fill the window, and return what is in flight then."""
    first = len(some.in_flight)
    some.in_flight |= {f"{first + number}" for number in range(some.room(0))}
    return set(some.in_flight)


def test_it_doubles_each_time_that_all_is_done_up_to_a_limit() -> None:
    one, sizes = Window(), []
    for _ in range(8):
        sizes.append(len(publish_all(one)))
        one.keep(set())
    assert sizes == [8, 16, 32, 64, 128, 256, LARGEST_SIZE, LARGEST_SIZE]


def test_it_halves_when_rows_come_back() -> None:
    one = Window(size=64)
    rows = sorted(publish_all(one))
    one.keep(set(rows[10:]), set(rows[:10]))
    assert (one.size, one.room(0)) == (32, 0)
    one.keep(set())  # the other 54 are done
    assert one.size == 32 + 54


def test_it_keeps_a_few_rows_when_all_comes_back() -> None:
    one = Window()
    one.keep(set(), publish_all(one))
    assert one.room(0) == FIRST_SIZE


def test_a_webhook_with_a_backlog_is_refilled_when_half_of_it_is_done_or_after_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(relay.time, "monotonic", lambda: now)
    one = Window(size=LARGEST_SIZE)
    in_flight = sorted(publish_all(one))
    one.note_claim(is_full=True)
    one.keep(set(in_flight[200:]))
    assert one.room(0) == 0, "few are done"
    one.keep(set(in_flight[256:]))
    assert one.room(0) == 256
    one.in_flight = set(in_flight[200:])
    now += relay.REFILL_WITHIN
    assert one.room(0) == 200, "the others may stay in flight for long"
    one.note_claim(is_full=False)
    one.in_flight = set(in_flight[1:])
    assert one.room(0) == 1, "nothing more waits"


def rows(**counts: int) -> dict[Handover, str]:
    """A claim of so many rows of each owner."""
    return {
        Handover(f"{owner}{number}", "t"): owner for owner, count in counts.items() for number in range(count)
    }


def test_a_message_has_rows_of_few_owners_and_small_shares_travel_together() -> None:
    messages = in_messages(rows(a=70, b=40, c=3, d=2), 32)
    owners = [[row.id[0] for row in message] for message in messages]
    assert Counter(chain.from_iterable(owners)) == {"a": 70, "b": 40, "c": 3, "d": 2}
    assert max(map(len, owners)) <= 15  # so that workers share a claim of 115 rows
    assert ["c"] * 3 + ["d"] * 2 in owners
    assert [set(some) for some in owners[:2]] == [{"a"}, {"b"}]


@pytest.mark.parametrize(
    ("count", "most", "sizes"), [(1, 32, [1]), (8, 32, [1] * 8), (600, 32, [32] * 18 + [24]), (3, 1, [1] * 3)]
)
def test_a_large_claim_fills_messages_a_small_one_is_shared(count: int, most: int, sizes: list[int]) -> None:
    assert [len(message) for message in in_messages(rows(a=count), most)] == sizes

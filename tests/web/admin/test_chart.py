"""Charts: every number is there, whatever the numbers are."""

from datetime import UTC, datetime

import pytest

from guestbook.queries.statistics import Bar
from guestbook.web.admin import chart

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


def bar(processed: int = 0, failed: int = 0, new: int = 0) -> Bar:
    return Bar(NOON, processed, failed, new)


@pytest.mark.parametrize(
    ("highest", "scale"),
    [(0, 2), (2, 2), (3, 4), (5, 6), (10, 10), (11, 20), (101, 200), (1523, 2000), (10**7 + 1, 2 * 10**7)],
)
def test_the_scale_is_easy_to_read_and_to_halve(highest: int, scale: int) -> None:
    drawn = chart.draw([bar(highest)], chart.HOUR_LABEL)
    assert (drawn.highest, drawn.scale) == (highest, scale)


def test_parts_stand_on_each_other_and_fill_the_bar() -> None:
    [column] = chart.draw([bar(50, 10, 40)], chart.HOUR_LABEL).columns
    assert column.parts == [("processed", 50, 50), ("new", 10, 40), ("failed", 0, 10)]


def test_one_failure_among_a_thousand_is_seen() -> None:
    [column] = chart.draw([bar(1000, 1)], chart.HOUR_LABEL).columns
    status, _, height = column.parts[-1]
    assert (status, height) == ("failed", chart.MIN_SEGMENT)


def test_a_bar_is_said_in_words() -> None:
    full, empty = chart.draw([bar(1200, 0, 3), bar()], chart.HOUR_LABEL).columns
    assert full.description == "12:00: 1,200 delivered, 3 waiting or retrying"
    assert (empty.description, empty.parts) == ("12:00: none", [])

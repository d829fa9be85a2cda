"""Bars of deliveries or attempts: the position, size and description of each part. A template draws them."""

from collections.abc import Sequence
from typing import NamedTuple

from guestbook.queries.statistics import WAITING_OR_RETRYING, Bar

Segments = tuple[tuple[str, str], ...]  # A status and its word each.

OUTCOME_SEGMENTS: Segments = (
    ("processed", "delivered"),
    ("new", WAITING_OR_RETRYING),
    ("failed", "given up"),
)
ATTEMPT_SEGMENTS: Segments = (("processed", "succeeded"), ("failed", "failed"))
HEIGHT = 100.0  # The scale's number has this height. Small segments may lift a bar slightly above it.
MIN_SEGMENT = 2.5  # One failure among a thousand stays visible.
ROUND_NUMBERS = (1, 2, 4, 6, 8, 10)
HOUR_LABEL = "{:%H}:00"  # 14:00
DAY_LABEL = "{0.day} {0:%b}"  # 3 Mar


class Column(NamedTuple):
    """A bar with its label and its description."""

    name: str
    parts: list[tuple[str, float, float]]  # the status, top and height of each segment, from the bottom up
    numbers: list[int]  # in the order of the legend
    description: str


class Chart(NamedTuple):
    """All bars and their scale."""

    columns: list[Column]
    highest: int
    scale: int  # the number at the full height: easy to read and to halve
    legend: list[tuple[str, str, int]]  # status, its word, its total


def draw(bars: Sequence[Bar], label: str, segments: Segments = OUTCOME_SEGMENTS) -> Chart:
    """Lay out the bars; `label` formats their times, and the segments stand from the bottom up."""
    highest = max(bar.total for bar in bars)
    size = 10 ** (len(str(highest)) - 1)
    scale = max(2, next(size * step for step in ROUND_NUMBERS if size * step >= highest))
    columns = [_column(bar, scale, label.format(bar.since), segments) for bar in bars]
    legend = [(status, word, sum(getattr(bar, status) for bar in bars)) for status, word in segments]
    return Chart(columns, highest, scale, legend)


def _column(bar: Bar, scale: int, name: str, segments: Segments) -> Column:
    parts, counts, numbers, top = [], [], [], HEIGHT
    for status, word in segments:
        number: int = getattr(bar, status)
        numbers.append(number)
        if number:
            height = max(MIN_SEGMENT, round(number / scale * HEIGHT, 1))
            top = round(top - height, 1)
            parts.append((status, top, height))
            counts.append(f"{number:,} {word}")
    return Column(name, parts, numbers, f"{name}: {', '.join(counts) or 'none'}")

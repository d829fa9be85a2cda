"""Bars of deliveries or attempts: the position, size and description of each part. A template draws them."""

from collections.abc import Sequence
from dataclasses import dataclass

from guestbook.queries.statistics import Bar

Segments = tuple[tuple[str, str], ...]

OUTCOME_SEGMENTS: Segments = (("processed", "delivered"), ("new", "waiting"), ("failed", "given up"))
ATTEMPT_SEGMENTS: Segments = (("processed", "succeeded"), ("failed", "failed"))
HEIGHT = 100.0  # The scale's number has this height. Small segments may lift a bar slightly above it.
STEP, WIDTH = 10, 8  # A bar with its gap, and a bar alone.
MIN_SEGMENT = 2.5  # One failure among a thousand stays visible.
ROUND_NUMBERS = (1, 2, 4, 6, 8, 10)
HOUR_LABEL = "{:%H}:00"  # 14:00
DAY_LABEL = "{0.day} {0:%b}"  # 3 Mar


@dataclass(frozen=True, slots=True)
class BarSegment:
    """A segment of a bar."""

    status: str
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """A bar: its position, its segments from the bottom up, its label and its description."""

    left: int
    parts: list[BarSegment]
    name: str
    numbers: list[int]  # in the order of the legend
    description: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All bars and their scale."""

    columns: list[Column]
    width: int
    highest: int
    scale: int  # the number at the full height
    marks: list[str]  # labels under the bars, at equal distances
    legend: list[tuple[str, str, int]]  # status, its word, its total

    @property
    def description(self) -> str:
        """Describe the chart in one sentence."""
        return ", ".join(f"{total:,} {word}" for _, word, total in self.legend)


def draw(bars: Sequence[Bar], label: str, every: int, segments: Segments = OUTCOME_SEGMENTS) -> Chart:
    """Lay out the bars; `label` formats their times, and the axis shows one label in `every`.

    `segments` names the parts of a bar from the bottom up: a status and its word.
    """
    highest = max(bar.total for bar in bars)
    scale = _scale(highest)
    columns = [_column(place, bar, scale, label, segments) for place, bar in enumerate(bars)]
    totals = [sum(numbers) for numbers in zip(*(column.numbers for column in columns), strict=True)]
    return Chart(
        columns=columns,
        width=len(bars) * STEP,
        highest=highest,
        scale=scale,
        marks=[column.name for column in columns[::every]],
        legend=[(status, word, total) for (status, word), total in zip(segments, totals, strict=True)],
    )


def _scale(highest: int) -> int:
    """Return the next number that is easy to read and to halve."""
    size = 1
    while highest > 10 * size:
        size *= 10
    return max(2, next(size * step for step in ROUND_NUMBERS if size * step >= highest))


def _column(position: int, bar: Bar, scale: int, label: str, segments: Segments) -> Column:
    name = label.format(bar.since)
    numbers: list[int] = [getattr(bar, status) for status, _ in segments]
    parts, top = [], HEIGHT
    for (status, _), number in zip(segments, numbers, strict=True):
        if number:
            height = max(MIN_SEGMENT, round(number / scale * HEIGHT, 1))
            top = round(top - height, 1)
            parts.append(BarSegment(status, top, height))
    counts = [f"{number:,} {word}" for (_, word), number in zip(segments, numbers, strict=True) if number]
    left = position * STEP + (STEP - WIDTH) // 2
    return Column(left, parts, name, numbers, f"{name}: {', '.join(counts) or 'none'}")

"""Bars of deliveries: the place, size and description of each part. The template draws them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from guestbook.queries.stats import Bar

SEGMENTS = (("processed", "delivered"), ("new", "waiting"), ("failed", "given up"))  # from the ground up
HEIGHT = 100.0  # of what the scale stands for; small parts may lift a bar a little above it
STEP, WIDTH = 10, 8  # from one bar to the next, and how wide it is
MIN_SEGMENT = 2.5  # so high is what there is at all, or one failure among a thousand would not be seen
ROUND_NUMBERS = (1, 2, 4, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class BarSegment:
    """A part of a bar."""

    status: str
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """A bar: its place, its parts from the ground up, what it is called, and all of it in words."""

    left: int
    parts: list[BarSegment]
    name: str
    numbers: list[int]  # in the order of PARTS
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All bars, and the scale beside them."""

    columns: list[Column]
    width: int
    highest: int
    scale: int  # what the full height stands for
    marks: list[str]  # under the bars, at equal distances from the first bar on
    legend: list[tuple[str, str, int]]  # status, its word, how many there are in all

    @property
    def said(self) -> str:
        """Return all of it in one sentence."""
        return ", ".join(f"{total:,} {word}" for _, word, total in self.legend)


def draw(bars: Sequence[Bar], name: Callable[[datetime], str], every: int) -> Chart:
    """Lay out the bars; `name` makes a name of their times, of which every so many stand at the axis."""
    highest = max(bar.total for bar in bars)
    scale = _scale(highest)
    columns = [_column(place, bar, scale, name(bar.since)) for place, bar in enumerate(bars)]
    totals = [sum(numbers) for numbers in zip(*(column.numbers for column in columns), strict=True)]
    return Chart(
        columns=columns,
        width=len(bars) * STEP,
        highest=highest,
        scale=scale,
        marks=[column.name for column in columns[::every]],
        legend=[(status, word, total) for (status, word), total in zip(SEGMENTS, totals, strict=True)],
    )


def hour(since: datetime) -> str:
    """Return `14:00`."""
    return f"{since:%H}:00"


def day(since: datetime) -> str:
    """Return `3 Mar`."""
    return f"{since.day} {since:%b}"


def _scale(highest: int) -> int:
    """Return the next number that is easy to read and to halve."""
    size = 1
    while highest > 10 * size:
        size *= 10
    return max(2, next(size * step for step in ROUND_NUMBERS if size * step >= highest))


def _column(place: int, bar: Bar, scale: int, name: str) -> Column:
    numbers = [bar.processed, bar.new, bar.failed]
    parts, top = [], HEIGHT
    for (status, _), number in zip(SEGMENTS, numbers, strict=True):
        if number:
            height = max(MIN_SEGMENT, round(number / scale * HEIGHT, 1))
            top = round(top - height, 1)
            parts.append(BarSegment(status, top, height))
    said = [f"{number:,} {word}" for (_, word), number in zip(SEGMENTS, numbers, strict=True) if number]
    left = place * STEP + (STEP - WIDTH) // 2
    return Column(left, parts, name, numbers, f"{name}: {', '.join(said) or 'none'}")

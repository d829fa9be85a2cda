"""How commands print rows: as JSON, as a table, or as names and values."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from guestbook.lib import clock, display_width
from guestbook.lib.text import printable

NOT_ASCII = re.compile(r"[^\x20-\x7e\n]")  # JSON escapes less than what a terminal would obey
LINE_WIDTH = 100  # columns of a table that is made to fit
NARROWEST = 10  # columns; no cell is cut to less

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value not in (None, ())}


def print_json(value: object) -> None:
    """Print one JSON document."""
    click.echo(NOT_ASCII.sub(_escape, json.dumps(value, ensure_ascii=False, indent=2)))


def print_done(sentence: str, facts: object, as_json: bool) -> None:
    """Say what a command has done, in a sentence or as what `--json` prints of it."""
    if as_json:
        print_json(facts)
    else:
        click.echo(sentence)


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], empty: str, *, cut: Sequence[str] = ()
) -> None:
    """Print rows under headings, or the sentence for none.

    The columns under the headings in `cut` are shortened until a line fits.
    """
    lines = [tuple(headings), *(tuple(_cell(value) for value in row) for row in rows)]
    if len(lines) == 1:
        click.echo(empty)
        return
    widths = [max(display_width.of(line[place]) for line in lines) for place in range(len(headings))]
    _narrow(widths, [headings.index(heading) for heading in cut])
    for line in lines:
        cells = (
            display_width.fill(display_width.cut(cell, columns), columns)
            for cell, columns in zip(line, widths, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def id_length(ids: Sequence[str]) -> int:
    """Return how many characters it takes to tell these ids apart, at least eight."""
    lengths = (length for length in range(8, 32) if len({one[:length] for one in ids}) == len(ids))
    return next(lengths, 32)


def _narrow(widths: list[int], places: Sequence[int]) -> None:
    """Narrow the widest of these columns until a line fits."""
    while places and sum(widths) + 2 * (len(widths) - 1) > LINE_WIDTH:
        widest = max(places, key=lambda place: widths[place])
        if widths[widest] <= NARROWEST:
            return
        widths[widest] -= 1


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    widest = max(display_width.of(printable(name)) for name in fields)
    for name, value in fields.items():
        click.echo(f"{display_width.fill(printable(name), widest)}  {_cell(value)}")


def print_part(heading: str, fields: Mapping[str, object]) -> None:
    """Print a blank line, a heading, and any fields."""
    click.echo(f"\n{printable(heading)}")
    if fields:
        print_fields(fields)


def shorten(text: str, limit: int) -> str:
    """Return the text in one line, cut with an ellipsis."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _escape(match: re.Match[str]) -> str:
    letter = match[0]
    return letter if letter.isprintable() else json.dumps(letter)[1:-1]


def _cell(value: object) -> str:
    if isinstance(value, dict):
        value = "; ".join(f"{name}: {text}" for name, text in value.items())
    if value is None or value == "":
        return "-"
    return printable(clock.to_text(value) if isinstance(value, datetime) else str(value))

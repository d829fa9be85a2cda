"""What commands print, as JSON, tables or names and values; and what they ask on a terminal."""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from guestbook.lib import clock, locks, text
from guestbook.lib.current_process import Step
from guestbook.lib.errors import Refused
from guestbook.lib.text import printable
from guestbook.queries import statistics
from guestbook.storage.database import db

NOT_ASCII = re.compile(r"[^\x20-\x7e\n]")  # JSON escapes less than what a terminal obeys.
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z")
NARROWEST = 5  # columns
STATE_HEADINGS = ("STATE", "STATUS", "VERDICT")
LEAST_WANTED = ("EVENTS", "ATTEMPTS")  # `show` has these too.
NEVER_CUT = ("ID", *STATE_HEADINGS)
CUT_IN_MIDDLE = ("NAME", "WEBHOOK", "SOURCE", "EVENT", "URL")  # Their rows often begin alike.
GOOD, WAITS, BAD = ({"fg": colour} for colour in ("green", "yellow", "red"))
STYLES: dict[str, dict[str, Any]] = {
    "heading": {"bold": True},
    **dict.fromkeys(("good", "healthy", "processed", "delivered", "published", "works"), GOOD),
    **dict.fromkeys(("waiting", "retrying", "held", "paused", "silent"), WAITS),
    **dict.fromkeys(
        ("failed", "given up", "failing", "disabled", "fault", "spam", "expired", "revoked"), BAD
    ),
}

JSON = "guestbook.json"  # A key in click's context.

json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    callback=lambda context, _param, value: context.meta.update({JSON: value}),
    help="Print one JSON document.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def is_json() -> bool:
    """Whether the running command has --json."""
    return bool(click.get_current_context().meta.get(JSON))


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value not in (None, ())}


def print_json(value: object) -> None:
    """Print one JSON document."""
    document = json.dumps(value, ensure_ascii=False, indent=2)
    click.echo(NOT_ASCII.sub(lambda it: it[0] if it[0].isprintable() else json.dumps(it[0])[1:-1], document))


def end_with_json(value: object) -> None:
    """With --json, print the document and end the command there."""
    if is_json():
        print_json(value)
        click.get_current_context().exit()


def say(*sentences: object) -> None:
    """Print the sentences that apply, one a line."""
    for sentence in filter(None, sentences):
        click.echo(sentence)


def print_done(facts: object, *sentences: object) -> None:
    """Say what a command has done: in the sentences that apply, or as what `--json` prints of it."""
    if is_json():
        print_json(facts)
    else:
        say(*sentences)


def is_terminal() -> bool:
    """Whether a person reads the output. A program that does gets whole ids, exact times and no colour."""
    return sys.stdout.isatty()


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print rows under headings, or the sentence for none. On a terminal cells are cut until a line fits."""
    lines = [list(headings), *([" ".join(_cell(value).split()) for value in row] for row in rows)]
    if len(lines) == 1:
        click.echo(empty)
        return
    columns = [list(column) for column in zip(*lines, strict=True)]
    if is_terminal():
        columns = _fitted(columns)
    widths = [max(map(text.display_width, column)) for column in columns]
    states = [place for place, column in enumerate(columns) if column[0] in STATE_HEADINGS]
    for number, cells in enumerate(zip(*columns, strict=True)):
        filled = [*map(text.fill_to_width, cells[:-1], widths), cells[-1]]
        for place in range(len(filled)) if number == 0 else states:
            filled[place] = _coloured(filled[place], cells[place] if number else "heading")
        click.echo("  ".join(filled).rstrip())


def _fitted(columns: list[list[str]]) -> list[list[str]]:
    """Return the columns so that a line fits: the least wanted ones go, then the widest ones are cut."""
    room = shutil.get_terminal_size().columns
    for heading in LEAST_WANTED:
        if _width(columns) > room:
            columns = [column for column in columns if column[0] != heading]
    widths = [max(map(text.display_width, column)) for column in columns]
    cuttable = [place for place, column in enumerate(columns) if column[0] not in NEVER_CUT]
    for _ in range(_width(columns) - room):
        widest = max(cuttable, key=widths.__getitem__)
        widths[widest] = max(NARROWEST, widths[widest] - 1)
    return [_cut(column, width) for column, width in zip(columns, widths, strict=True)]


def _width(columns: Sequence[Sequence[str]]) -> int:
    return sum(max(map(text.display_width, column)) + 2 for column in columns) - 2


def _cut(column: list[str], width: int) -> list[str]:
    if column[0] in CUT_IN_MIDDLE:
        return [column[0], *text.cut_in_middle(column[1:], width)]
    return [text.cut_to_width(cell, width) for cell in column]


def _coloured(cell: str, word: str) -> str:
    """Return a cell in the colour of a state, if a person wants to see colours."""
    style = STYLES.get(word.partition(",")[0])
    is_wanted = is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return click.style(cell, **style) if style and is_wanted else cell


def print_groups(facts: Mapping[str, object], groups: Mapping[str, str]) -> None:
    """Print the fields that no group names, and then each group under its heading; nothing that is empty."""
    named = " ".join(groups.values()).split()
    for heading, names in {"": " ".join(name for name in facts if name not in named), **groups}.items():
        print_part(heading, {name.replace("_", " "): facts[name] for name in names.split()})


def print_part(heading: str, fields: Mapping[str, object]) -> None:
    """Print the fields that are not empty under a heading, if there is one; nothing where all are."""
    if filled := {name: value for name, value in fields.items() if value}:
        if heading:
            print_heading(heading)
        print_fields(filled)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    widest = max(text.display_width(printable(name)) for name in fields)
    for name, value in fields.items():
        click.echo(f"{text.fill_to_width(printable(name), widest)}  {_cell(value)}")


def print_text(heading: str, text: str | None) -> None:
    """Print a text of several lines under its heading, if there is one."""
    if text:
        print_heading(heading)
        click.echo("\n".join(map(printable, text.splitlines())))


def print_heading(heading: str) -> None:
    """Print a blank line and a heading."""
    click.echo(f"\n{_coloured(printable(heading), 'heading')}")


def _cell(value: object) -> str:
    if isinstance(value, Mapping):
        value = "; ".join(f"{name}: {text}" for name, text in value.items())
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if value is None or value == "":
        return "-"
    if isinstance(value, str) and TIME.fullmatch(value) and is_terminal():
        return f"{value} ({clock.ago(clock.stored(value))})"
    if isinstance(value, datetime):
        return clock.ago(value) if is_terminal() else clock.to_text(value)
    return printable(str(value))


def up_to_limit(count: int, more: str = ">") -> str:
    """Return a number that was counted only up to a limit; `more` stands before the limit."""
    return str(count) if count <= statistics.COUNT_LIMIT else f"{more} {statistics.COUNT_LIMIT:,}"


def counts(by_word: Mapping[str, int]) -> str:
    """Return numbers that were counted up to a limit, each with its word."""
    return ", ".join(f"{up_to_limit(count, 'more than')} {word}" for word, count in by_word.items()) or "none"


@contextmanager
def show_progress(label: str, length: int, *, to_position: bool = False) -> Iterator[Step]:
    """Show a progress bar on a terminal; give the function that moves it on, or to a position."""
    if not length or not sys.stderr.isatty():
        yield lambda _rows: None
        return
    bar: Any
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield (lambda position: bar.update(position - bar.pos)) if to_position else bar.update


def say_waiting() -> None:
    """Say that the work begins after the present pass, which was asked to end."""
    click.echo(f"A pass is running; waiting for its end, up to {locks.PASS_WAIT:g} seconds.", err=True)


def ask(question: str, nothing: str, verb: str) -> None:
    """Ask on a terminal; raises Refused where the answer is no, and elsewhere.

    `nothing` says that nothing was done, and `verb` completes “Add --yes to …”.
    """
    if is_json() or not sys.stdin.isatty():
        raise Refused(f"{nothing} Add --yes to {verb} without a question.")
    _require_yes(question, nothing)


def ask_on_terminal(what_goes: Callable[[], str], yes: bool, verb: str = "Delete") -> None:
    """Say on a terminal what a command deletes, and ask; raises Refused where the answer is no.

    Elsewhere nothing is asked, because scripts delete too.
    """
    if not yes and sys.stdin.isatty():
        question = f"{what_goes()} {verb}?"
        db.session.rollback()  # Nobody waits in a transaction for an answer.
        _require_yes(question, "Nothing was changed.", err=True)


def wait_on_terminal(request: str) -> None:
    """Print what a person is asked to do, and wait for Enter. Elsewhere nobody is asked."""
    if not is_json() and sys.stdin.isatty():
        click.prompt(request, default="", show_default=False, prompt_suffix=" ")


def _require_yes(question: str, nothing: str, *, err: bool = False) -> None:
    """Ask once, even if the command runs again because another transaction was in its way."""
    answers = click.get_current_context().meta.setdefault(__name__, {})
    if question not in answers:
        answers[question] = click.confirm(question, err=err)
    if not answers[question]:
        raise Refused(nothing)

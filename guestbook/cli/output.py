"""What the commands share: finding a row by its id, JSON, tables, errors in one sentence."""

import functools
import json
import logging
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from guestbook.cli import terminal_log
from guestbook.lib import clock, display_width, unit_of_work
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line
from guestbook.settings import Settings
from guestbook.storage import database_errors
from guestbook.storage.database import Base, db
from guestbook.storage.database_errors import Fault
from guestbook.storage.models import Bin, Source, Token, Webhook

UNSEEN = re.compile(r"[^\x20-\x7e\n]")  # JSON escapes only what lies below the blank; terminals obey more
INIT_DB = {Fault.NO_TABLES: "Make them", Fault.OLD_TABLES: "Bring them up to date"}
LINE = 100  # columns of a table that is made to fit
NARROW = 10  # columns; a cell is not cut to less
CANDIDATES = 5  # rows that are named where an id or a name fits several
NAMED = (Webhook, Source, Bin, Token)  # whose names the owner chose; a comment has its visitor's
PLAIN = re.compile("[0-9A-Za-z]{1,32}")  # as ids are; what else was typed stands in quotes
AWAY = 75  # EX_TEMPFAIL of sysexits.h: cron may try again later
NO_MEMORY = "This host's limit on memory (ulimit -v) is too low for this command."
P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=Base)

log = logging.getLogger(__name__)

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def moment(_context: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """Read an option that is a time, as people type it; the option's callback."""
    try:
        return None if value is None else clock.typed(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def command(function: Callable[P, R]) -> Callable[P, R]:
    """Run in the app's context; end with one line and 1 when refused, 75 when the database is away."""

    @functools.wraps(function)
    def run(*args: P.args, **options: P.kwargs) -> R:
        with terminal_log.shown(settings().log_format):
            try:
                return unit_of_work.complete(lambda: function(*args, **options))
            except Refused as error:
                raise click.ClickException(str(error)) from None
            except MemoryError:
                log.error(NO_MEMORY)
                sys.exit(AWAY)
            except (DBAPIError, PoolTimeout) as error:
                give_up(error)

    return with_appcontext(run)


def give_up(error: DBAPIError | PoolTimeout) -> NoReturn:
    """End with the sentence that fits the database's error."""
    fault = database_errors.fault_of(error)
    said = fault.value if fault is Fault.NO_TABLES else f"{fault.value}: {database_errors.words(error)}"
    advice = f". {INIT_DB[fault]} with: {typed('init-db')}" if fault in INIT_DB else ""
    log.error(said + advice, exc_info=error if terminal_log.is_verbose() else None)
    sys.exit(AWAY if fault is Fault.AWAY else 1)


def typed(words: str) -> str:
    """Return a command as it works where this one was typed: `flask` alone is often not on the path."""
    flask = sys.argv[0] if Path(sys.argv[0]).name == "flask" else "flask"
    short = "flask" if shutil.which("flask") == flask else shlex.quote(flask)
    return f"{short} --app guestbook {words}"


def settings() -> Settings:
    """Return the settings that the app has read."""
    read: Settings = current_app.config["GUESTBOOK"]
    return read


def find(model: type[M], given: str) -> M:
    """Return the row whose id begins so or, where it has one, whose name that is; refuse none and several."""
    rows = _by_id(model, given.strip().lower())
    if len(rows) != 1:
        rows = _by_name(model, given) or rows
    if len(rows) == 1:
        return rows[0]
    noun = re.sub("(?<=[a-z])(?=[A-Z])", " ", model.__name__).lower()
    shown = given if PLAIN.fullmatch(given) else repr(given)
    if not rows:
        known_by = "id or the name" if model in NAMED else "id"
        raise click.ClickException(f"No {noun} has the {known_by} {shown}.")
    several = f"{shown} fits more than one {noun}: {_candidates(rows)}."
    raise click.ClickException(f"{several} Give more of the id.")


def _by_id(model: type[M], start: str) -> list[M]:
    """Return the rows whose ids begin so, a few at the most."""
    if not start.isascii() or not start.isalnum() or len(start) > 32:
        return []
    columns: Any = model
    query = select(model).where(columns.id >= start, columns.id < start + "g").order_by(columns.id)
    return list(db.session.scalars(query.limit(CANDIDATES + 1)))


def _by_name(model: type[M], name: str) -> list[M]:
    """Return the rows of that name, a few at the most."""
    wanted = clean_line(name)
    if model not in NAMED or not wanted:
        return []
    columns: Any = model
    query = select(model).where(columns.name == wanted).order_by(columns.id)
    return list(db.session.scalars(query.limit(CANDIDATES + 1)))


def _candidates(rows: Sequence[Any]) -> str:
    """Name the first of several rows, so that one can be chosen."""
    names = [f"{row.id} ({safe(row.name)})" if type(row) in NAMED else row.id for row in rows[:CANDIDATES]]
    return ", ".join(names) + (" and others" if len(rows) > CANDIDATES else "")


def document(row: Base, *, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    """Return a row as a JSON object with keys named like the columns."""
    names = [column.key for column in row.__table__.columns if column.key not in leave_out]
    return {name: _plain(getattr(row, name)) for name in names}


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that somebody typed."""
    return {name: value for name, value in options.items() if value not in (None, ())}


def print_json(value: object) -> None:
    """Print one JSON document."""
    click.echo(UNSEEN.sub(_escape, json.dumps(value, ensure_ascii=False, indent=2)))


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], empty: str, *, cut: Sequence[str] = ()
) -> None:
    """Print rows under headings, or the sentence for none.

    They are as wide as they are; with `cut`, the columns of these headings get shorter until all fits.
    """
    lines = [tuple(headings), *(tuple(_cell(value) for value in row) for row in rows)]
    if len(lines) == 1:
        click.echo(empty)
        return
    widths = [max(display_width.of(line[place]) for line in lines) for place in range(len(headings))]
    _squeeze(widths, [headings.index(heading) for heading in cut])
    for line in lines:
        cells = (
            display_width.fill(display_width.cut(cell, columns), columns)
            for cell, columns in zip(line, widths, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def shortest(ids: Sequence[str]) -> int:
    """Return how many characters tell those ids apart, eight at least."""
    return next(
        (length for length in range(8, 32) if len({one[:length] for one in ids}) == len(ids)),
        32,
    )


def _squeeze(widths: list[int], places: Sequence[int]) -> None:
    """Make the widest of those columns narrower, until a line fits."""
    while places and sum(widths) + 2 * (len(widths) - 1) > LINE:
        widest = max(places, key=lambda place: widths[place])
        if widths[widest] <= NARROW:
            return
        widths[widest] -= 1


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    widest = max(display_width.of(safe(name)) for name in fields)
    for name, value in fields.items():
        click.echo(f"{display_width.fill(safe(name), widest)}  {_cell(value)}")


def print_part(heading: str, fields: Mapping[str, object]) -> None:
    """Print a blank line, a heading, and the fields, if there are any."""
    click.echo(f"\n{safe(heading)}")
    if fields:
        print_fields(fields)


def safe(text: str) -> str:
    """Return text that a stranger wrote without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def shorten(text: str, limit: int) -> str:
    """Return the text in one line, cut with an ellipsis."""
    line = " ".join(safe(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _escape(match: re.Match[str]) -> str:
    letter = match[0]
    return letter if letter.isprintable() else json.dumps(letter)[1:-1]


def _plain(value: object) -> object:
    return clock.to_text(value) if isinstance(value, datetime) else value


def _cell(value: object) -> str:
    if isinstance(value, dict):
        value = "; ".join(f"{name}: {text}" for name, text in value.items())
    if value is None or value == "":
        return "-"
    return safe(clock.to_text(value) if isinstance(value, datetime) else str(value))

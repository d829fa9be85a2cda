"""The commands that write comments into files and read them from files."""

import itertools
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import BufferedReader, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO, TypeVar, cast

import click

from guestbook.cli import app_command, output
from guestbook.cli.list_options import WHEN
from guestbook.cli.long_work import show_progress
from guestbook.cli.option_types import Choice, moment
from guestbook.comments.exchange import comment_export, comment_import, csv_files, import_file, json_lines
from guestbook.comments.exchange.comment_export import ExportedComments
from guestbook.comments.exchange.comment_import import ImportReport, ImportRules
from guestbook.comments.exchange.file_row import FIELDS
from guestbook.comments.exchange.import_file import ImportOptions
from guestbook.lib import file_access, file_replacement
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line, counted, printable
from guestbook.storage import engine_setup
from guestbook.storage.models.comment import COMMENT_STATUSES

STANDARD = "-"  # as a file: standard input or output
MOST_SENTENCES = 100  # about single rows; a file of a million wrong ones needs no million lines
SHOWN_EVERY = 1000  # rows, after which a bar moves
T = TypeVar("T")

file_type = click.Path(dir_okay=False, path_type=Path, allow_dash=True)


def _columns(_context: object, _parameter: object, given: Sequence[str]) -> dict[str, str]:
    """Read --map field=Column; the callback of the option."""
    columns = {}
    for one in given:
        field, equals, column = one.partition("=")
        if not equals or field not in FIELDS:
            raise click.BadParameter(
                f"{one!r} is not FIELD=COLUMN with one of the fields {', '.join(FIELDS)}."
            )
        columns[field] = column.strip()
    return columns


@click.command(cls=app_command.AppCommand)
@click.argument("file", type=file_type, default=STANDARD)
@click.option("--format", "kind", type=Choice(["jsonl", "csv"]), help="By default as the file is named.")
@click.option("--bom", is_flag=True, help="Begin the CSV with a byte order mark, which Excel needs.")
@click.option("--status", type=Choice(COMMENT_STATUSES), help="Only those with this status.")
@click.option("--name", metavar="NAME", help="Only those whose visitor has exactly this name.")
@click.option("--since", callback=moment, metavar="WHEN", help=f"Only those since then {WHEN}.")
@click.option("--until", callback=moment, metavar="WHEN", help=f"Only those before then {WHEN}.")
def export(
    file: Path,
    kind: str | None,
    bom: bool,
    status: str | None,
    name: str | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Write comments with all that belongs to them into a file, the oldest first.

    Without FILE they go to standard output. `import` reads them back. No cell of a CSV file is a formula: a
    leading apostrophe stands before it, which `import` removes.
    """
    kind = kind or ("csv" if file.suffix.lower() == ".csv" else "jsonl")
    if bom and kind != "csv":
        raise click.UsageError("--bom is for --format csv.")
    wanted = ExportedComments(status, since, until, None if name is None else clean_line(name))
    # An engine of its own: a server ends idle transactions of the others, and a slow pipe leaves this idle.
    with engine_setup.opened(app_command.settings()) as engine, comment_export.snapshot(engine) as connection:
        total = comment_export.count(connection, wanted)
        with _target(file, "utf-8-sig" if bom else "utf-8") as target, _bar("Exporting", total) as move:
            rows = _watched(comment_export.rows(connection, wanted), move)
            if kind == "csv":
                csv_files.write(target, rows)
            else:
                target.writelines(map(json_lines.line, rows))
    if str(file) != STANDARD:
        click.echo(f"Exported {counted(total, 'comment')} to {file}.")


@click.command("import", cls=app_command.AppCommand)
@click.argument("file", type=file_type)
@click.option(
    "--format",
    "kind",
    type=Choice(import_file.IMPORT_FORMATS),
    default="auto",
    show_default=True,
    help="The kind of file.",
)
@click.option(
    "--map",
    "columns",
    multiple=True,
    callback=_columns,
    metavar="FIELD=COLUMN",
    help="Which column of a CSV file holds a field, such as name=Author.",
)
@click.option(
    "--time-format", metavar="FORMAT", help="How a CSV file writes times, such as '%d.%m.%Y %H:%M'."
)
@click.option("--page", metavar="URL", help="Only comments of this page, from Isso or WordPress.")
@click.option(
    "--owner",
    "owners",
    multiple=True,
    callback=lambda _context, _parameter, given: frozenset(one.strip().lower() for one in given),
    metavar="NAME",
    help="Your name or e-mail address there: published answers by it become replies. From Isso or WordPress.",
)
@click.option("--notify-webhooks", is_flag=True, help="Send events of the new comments to the webhooks.")
@click.option("--dry-run", is_flag=True, help="Store nothing; say what would happen.")
@output.as_json
def import_(file: Path, notify_webhooks: bool, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Add the comments of a file: from `export`, Isso, WordPress or any CSV file.

    FILE may be - for standard input. Comments keep their time and status. The owner's answers become replies,
    and other answers name whom they answer. Comments that are there already stay as they are, so you may
    import a file again. Rows that do not fit are named and left out; then the exit code is 1.
    """
    path, say = None if str(file) == STANDARD else file, _speaker()
    standard_input: Any = BufferedReader(cast(RawIOBase, sys.stdin.buffer))
    with (
        import_file.opened(path, standard_input, ImportOptions(**options)) as opened,
        _bar("Importing", opened.size) as move,
    ):
        rules = ImportRules(
            app_command.settings(), dry_run, notify_webhooks, say, lambda: move(opened.position())
        )
        report = comment_import.run(opened.rows, rules)
    if not report.rows:
        page = options["page"]
        raise Refused(f"The file has no comment of the page {page}." if page else import_file.NO_COMMENTS)
    if as_json:
        left = {"there_already": report.there, "left_out": report.refused}
        output.print_json({"imported": dict(report.stored), **left})
    else:
        _print(report, is_rehearsal=dry_run)
    if report.broken:
        raise Refused(report.broken)
    if report.refused:
        sys.exit(1)


@contextmanager
def _target(file: Path, encoding: str) -> Iterator[TextIO]:
    """Give the text to write. A file appears under its name once it is complete."""
    if str(file) == STANDARD:
        text = TextIOWrapper(sys.stdout.buffer, encoding, newline="")
        yield text
        text.flush()
        text.detach()  # else its end would close standard output
        return
    try:
        if file_access.type_of(file) not in (None, stat.S_IFREG):  # a named pipe or a device
            with file.open("w", encoding=encoding, newline="") as text:
                yield text
            return
        file_replacement.refuse_link(file)
        with file_replacement.replacing(file, encoding) as fresh:
            yield fresh
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror or error}.") from None


@contextmanager
def _bar(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal; give the function that moves it to a place."""
    at = 0
    with show_progress(label, length) as step:

        def move(place: int) -> None:
            nonlocal at
            step(place - at)
            at = place

        yield move


def _watched(rows: Iterable[T], move: Callable[[int], None]) -> Iterator[T]:
    for number, row in enumerate(rows, 1):
        yield row
        if number % SHOWN_EVERY == 0:
            move(number)


def _speaker() -> Callable[[str], None]:
    """Return what prints the sentences about single rows, the first hundred."""
    numbers = itertools.count(1)

    def say(sentence: str) -> None:
        number = next(numbers)
        if number <= MOST_SENTENCES:
            click.echo(printable(sentence), err=True)
        elif number == MOST_SENTENCES + 1:
            click.echo("There are more; they are counted below.", err=True)

    return say


def _print(report: ImportReport, *, is_rehearsal: bool) -> None:
    total = report.stored.total()
    by_status = ", ".join(
        f"{report.stored[name]:,} {name}" for name in COMMENT_STATUSES if report.stored[name]
    )
    did = "Would import" if is_rehearsal else "Imported"
    click.echo(f"{did} {counted(total, 'comment')}{f': {by_status}' if total else ''}.")
    if report.there:
        click.echo(f"There already: {report.there:,}.")
    if report.refused:
        click.echo(f"Left out: {report.refused:,}.")

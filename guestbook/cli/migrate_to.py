"""The command that copies the book to another database."""

import sys
from typing import Any

import click

from guestbook.cli import app_command, output, secrets
from guestbook.cli.output import say_waiting, show_progress
from guestbook.lib.errors import TRY_LATER
from guestbook.lib.text import counted, printable
from guestbook.settings import database_url
from guestbook.storage.copy import book_copy
from guestbook.storage.copy.book_copy import CopiedTable, CopyReport
from guestbook.storage.copy.target import TargetAway

CHECKSUM_LENGTH = 12  # characters of it in the table
NEXT = """\
Now set GUESTBOOK_DATABASE_URL to it, and start the web server, cron and workers again. Keep the data folder:
the book needs the secret_key in it. If you have several hosts, set the same GUESTBOOK_SECRET_KEY on all."""


def _url(context: click.Context, param: click.Parameter, value: str) -> str:
    """Read the target's URL; `-` stands for standard input."""
    try:
        return database_url.parse(secrets.option(context, param, value) or "")
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


@click.command("migrate-to", cls=app_command.AppCommand)
@click.argument("url", callback=_url)
@output.as_json
def migrate_to(url: str, as_json: bool) -> None:
    """Copy the book to another database, and check the copy.

    Stop the web server, cron and workers first. URL is like GUESTBOOK_DATABASE_URL; with - it is read from
    standard input, which hides its password. The database must be empty, or hold an earlier copy of this
    book. If the command is interrupted, run it again: it copies only what is missing.
    """
    try:
        report = book_copy.run(app_command.settings(), url, progress=show_progress, waiting=say_waiting)
    except TargetAway as error:
        click.echo(f"The target cannot be used now: {printable(str(error))}.", err=True)
        sys.exit(TRY_LATER)
    if as_json:
        output.print_json(_document(report))
    else:
        _print(report)
    _refuse_bad_copy(report)
    if not as_json:
        rows = sum(one.book.rows for one in report.moved)
        click.echo(f"\nThe copy in {report.place} is complete: {counted(rows, 'row')}, each compared.")
        click.echo(NEXT)


def _print(report: CopyReport) -> None:
    output.print_table(
        ("TABLE", "ROWS", "CHECKSUM", "COPIED", "THERE ALREADY", "REMOVED"),
        [
            (one.table.name, one.book.rows, str(one.book)[:CHECKSUM_LENGTH], *_row_counts(one).values())
            for one in report.moved
        ],
        "",
    )


def _document(report: CopyReport) -> dict[str, Any]:
    return {
        "target": report.place,
        "tables": [
            {
                "table": one.table.name,
                "rows": one.book.rows,
                "checksum": str(one.book),
                **_row_counts(one),
                "is_whole": one.is_whole,
                "is_still": one.is_still,
            }
            for one in report.moved
        ],
    }


def _row_counts(one: CopiedTable) -> dict[str, int]:
    kept = one.book.rows - one.copied
    return {"copied": one.copied, "there_already": kept, "removed": one.removed}


def _refuse_bad_copy(report: CopyReport) -> None:
    """Exit with 1 if the copy differs from the book."""
    wrong = [one.table.name for one in report.moved if not one.is_whole]
    if wrong:
        raise click.ClickException(f"The copy differs from the book in {', '.join(wrong)}. Do not use it.")
    written = [one.table.name for one in report.moved if not one.is_still]
    if written:
        raise click.ClickException(
            f"The book has changed meanwhile in {', '.join(written)}. "
            "Stop the web server, cron and workers everywhere, and run this again: it copies what is new."
        )

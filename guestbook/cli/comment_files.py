"""The commands that write comments into files or a static site, and read them from files."""

import itertools
import json
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BufferedReader, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO, TypeVar, cast

import click
from flask import current_app, get_template_attribute, render_template
from sqlalchemy import Connection

from guestbook.cli import app_command, output
from guestbook.cli.options import Choice, period_options, with_default
from guestbook.comments import comment_form, comment_json
from guestbook.comments.exchange import comment_import, file_formats, other_programs
from guestbook.comments.exchange.comment_import import ImportRules
from guestbook.lib import avatar, files
from guestbook.lib.current_process import Step
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line, counted, printable
from guestbook.queries import public_comments
from guestbook.queries.public_comments import PublicComment
from guestbook.storage import engines, plain_sql, preferences
from guestbook.storage.models.comment import COMMENT_STATUSES
from guestbook.storage.preferences import BACKGROUNDS, LOOKS, Preferences

STANDARD = "-"  # It stands for standard input or output.
MOST_SENTENCES = 100  # A file of a million wrong rows needs no million lines.
SHOWN_EVERY = 1000  # rows
NO_PAGE = "A page needs an address, or a path and your website in the settings."
T = TypeVar("T")

file_type = click.Path(dir_okay=False, path_type=Path, allow_dash=True)


def _columns(_context: object, _parameter: object, given: Sequence[str]) -> dict[str, str]:
    """Read --map field=Column; the callback of the option."""
    columns = {}
    for one in given:
        field, equals, column = one.partition("=")
        if not equals or field not in file_formats.FIELDS:
            wanted = f"FIELD=COLUMN with one of the fields {', '.join(file_formats.FIELDS)}"
            raise click.BadParameter(f"{one!r} is not {wanted}.")
        columns[field] = column.strip()
    return columns


@click.command(cls=app_command.AppCommand)
@click.argument("file", type=file_type, default=STANDARD)
@click.option("--format", "kind", type=Choice(["jsonl", "csv"]), help="By default as the file is named.")
@click.option("--bom", is_flag=True, help="Begin the CSV with a byte order mark, which Excel needs.")
@click.option("--status", type=Choice(COMMENT_STATUSES), help="Only those with this status.")
@click.option("--name", metavar="NAME", help="Only those whose visitor has exactly this name.")
@period_options
def export(file: Path, kind: str | None, bom: bool, name: str | None, **filters: Any) -> None:
    """Write comments with all that belongs to them into a file, the oldest first.

    Without FILE they go to standard output. `import` reads them back. No cell of a CSV file is a formula: a
    leading apostrophe stands before it, which `import` removes.
    """
    kind = kind or ("csv" if file.suffix.lower() == ".csv" else "jsonl")
    if bom and kind != "csv":
        raise click.UsageError("--bom is for --format csv.")
    wanted = file_formats.ExportedComments(name=None if name is None else clean_line(name), **filters)
    # An engine of its own: a server ends idle transactions of the others, and a slow pipe leaves this idle.
    with engines.opened(app_command.settings()) as engine, file_formats.snapshot(engine) as connection:
        total, encoding = file_formats.count_comments(connection, wanted), "utf-8-sig" if bom else "utf-8"
        with _target(file, encoding) as target, output.show_progress("Exporting", total) as step:
            rows = _watched(file_formats.comment_rows(connection, wanted), step)
            if kind == "csv":
                file_formats.write_csv(target, rows)
            else:
                target.writelines(map(file_formats.json_line, rows))
    if str(file) != STANDARD:
        click.echo(f"Exported {counted(total, 'comment')} to {file}.")


@click.command("import", cls=app_command.AppCommand)
@click.argument("file", type=file_type)
@with_default(
    "--format", "kind", type=Choice(other_programs.IMPORT_FORMATS), default="auto", help="The kind of file."
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
@click.option("--page", metavar="URL", help="Only the comments of this page of your website.")
@click.option(
    "--owner",
    "owners",
    multiple=True,
    callback=lambda _context, _parameter, given: frozenset(one.strip().lower() for one in given),
    metavar="NAME",
    help="Your name or e-mail address in the other program: your published answers become replies.",
)
@click.option("--notify-webhooks", is_flag=True, help="Send events of the new comments to the webhooks.")
@click.option("--dry-run", is_flag=True, help="Store nothing; say what would happen.")
@output.json_option
def import_(file: Path, notify_webhooks: bool, dry_run: bool, **options: Any) -> None:
    """Add the comments of a file: from `comments export`, from another program, or any CSV file.

    FILE may be - for standard input, or packed with gzip. Comments keep their time and status. The owner's
    answers become replies; other answers name whom they answer. The book keeps the comments that it has, so
    you may import a file again. Rows that do not fit are named and left out, and the exit code is 1.
    """
    path, say = None if str(file) == STANDARD else file, partial(_say, numbers=itertools.count(1))
    standard_input: Any = BufferedReader(cast(RawIOBase, sys.stdin.buffer))
    with (
        other_programs.opened(path, standard_input, other_programs.ImportOptions(**options)) as opened,
        output.show_progress("Importing", opened.size, to_position=True) as move,
    ):
        settings = app_command.settings()
        rules = ImportRules(settings, dry_run, notify_webhooks, say, lambda rows: move(opened.position(rows)))
        report = comment_import.run_import(opened.rows, rules)
    if not report.rows:
        none = f"The file has no comment of the page {options['page']}."
        raise Refused(none if options["page"] else other_programs.NO_COMMENTS)
    stored, did = report.stored, "Would import" if dry_run else "Imported"
    by_status = ", ".join(f"{stored[name]:,} {name}" for name in COMMENT_STATUSES if stored[name])
    output.print_done(
        report.shape(),
        f"{did} {counted(stored.total(), 'comment')}{by_status and f': {by_status}'}.",
        report.there and f"There already: {report.there:,}.",
        report.refused and f"Left out: {report.refused:,}.",
        report.without_page and f"Without their page: {report.without_page:,}. {NO_PAGE}",
    )
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
        text.detach()  # Otherwise its end would close standard output.
        return
    try:
        if files.type_of(file) not in (None, stat.S_IFREG):  # It is a named pipe or a device.
            with file.open("w", encoding=encoding, newline="") as text:
                yield text
            return
        files.refuse_link(file)
        with files.replacing(file, encoding, syncs=True) as fresh:
            yield fresh
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror or error}.") from None


def _watched(rows: Iterable[T], step: Step) -> Iterator[T]:
    for number, row in enumerate(rows, 1):
        yield row
        if number % SHOWN_EVERY == 0:
            step(SHOWN_EVERY)


def _say(sentence: str, numbers: Iterator[int]) -> None:
    """Print a sentence about a single row, if it is one of the first hundred."""
    number = next(numbers)
    if number <= MOST_SENTENCES:
        click.echo(printable(sentence), err=True)
    elif number == MOST_SENTENCES + 1:
        click.echo("There are more; they are counted below.", err=True)


SITE_MARK = ".guestbook-site"  # A folder with it was written by this command, which may replace it.
SITE_FILES = ("book.css", "mark.svg")
SITE_PICTURES = "pictures"
EXTRA_FILES = ("extras.css", "smileys.svg", *(f"{name}.svg" for name in BACKGROUNDS if name != "none"))
LOOK_FILES = {look: (f"look-{look}.css",) for look in LOOKS if look != "paper"} | {
    "1999": ("look-1999.css", "stars.svg")
}


@click.command("export-site", cls=app_command.AppCommand)
@click.argument("folder", type=click.Path(path_type=Path))
def export_site(folder: Path) -> None:
    """Write the published comments as a static site: HTML pages and JSON.

    FOLDER is made, or replaced in one step. It has index.html, a page for each comment, comments.json and the
    stylesheet, and no form. Its links are relative. The same book gives the same files.
    """
    with engines.opened(app_command.settings()) as engine, file_formats.snapshot(engine) as connection:
        try:
            with files.replacing_folder(folder, SITE_MARK) as part:
                total = _write(part, connection)
        except OSError as error:
            raise Refused(f"{folder} cannot be written: {error.strerror or error}.") from None
    click.echo(f"Wrote {counted(total, 'comment')} to {folder}.")


def _write(part: Path, connection: Connection) -> int:
    """Write all files; return how many comments they have."""
    book, read, total = preferences.read(connection), app_command.settings(), 0
    extras = EXTRA_FILES if book.has_extras else ()
    for name in (*SITE_FILES, *LOOK_FILES.get(book.look, ()), *extras):
        shutil.copyfile(Path(str(current_app.static_folder), name), part / name)
    if book.own_css:
        (part / "own.css").write_text(book.own_css, encoding="utf-8")
    with (part / "comments.json").open("w", encoding="utf-8") as file:
        head = {"title": book.title, "url": f"{read.base_url}/"}
        file.write(f'{json.dumps(head, ensure_ascii=False)[:-1]}, "comments": [')
        select, older, number = partial(plain_sql.run, connection), None, 0
        while older or not number:  # An empty book has one page too.
            page, newer, number = public_comments.page(select, older, book.per_page), number, number + 1
            older, articles = page.older, []
            for comment in page.rows:
                articles.append(_write_comment(part, comment, book, read.secret_key))
                fields = comment_json.on_page(comment, read.base_url)
                file.write(f"{',' if total else ''}\n{json.dumps(fields, ensure_ascii=False)}")
                total += 1
            links = {"newer": newer and _page_name(newer), "older": older and _page_name(number + 1)}
            path = part / _page_name(number)
            _render(path, "site/page.html", book=book, articles=articles, root="", **links)
        file.write("\n]}\n")
    return total


def _page_name(number: int) -> str:
    return "index.html" if number == 1 else f"page-{number}.html"


def _write_comment(part: Path, comment: PublicComment, book: Preferences, key: str) -> str:
    """Write the page of a comment; return its article for the page that lists it, as the book shows it."""
    name, picture = comment.name, comment_form.picture_of(comment.name, book, key)
    folder, root = part / "comments" / comment.id, "../../"
    folder.mkdir(parents=True)
    article = get_template_attribute("_comment.html", "article")
    html = article(comment, "index.html", picture, f"{root}{SITE_PICTURES}/", book.smileys)
    _render(folder / "index.html", "site/comment.html", book=book, name=name, article=html, root=root)
    if picture and not picture.glyph:
        (part / SITE_PICTURES).mkdir(exist_ok=True)
        (part / SITE_PICTURES / f"{picture.id}.svg").write_text(avatar.svg(picture.id), encoding="utf-8")
    path = f"comments/{comment.id}/index.html"
    listed: str = article(comment, path, picture, f"{SITE_PICTURES}/", book.smileys)
    return listed


def _render(path: Path, template: str, **values: Any) -> None:
    path.write_text(render_template(template, **values), encoding="utf-8")

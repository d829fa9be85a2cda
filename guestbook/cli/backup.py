"""The commands that make a backup, and put one in the place of the book."""

import stat
import sys
from pathlib import Path
from typing import Any

import click

from guestbook.cli import app_command, options, output
from guestbook.cli.output import say_waiting, show_progress
from guestbook.lib import clock, files
from guestbook.lib.errors import TRY_LATER
from guestbook.lib.text import counted, printable
from guestbook.settings import database_url, secret_key
from guestbook.storage import backup as backups
from guestbook.storage import engine_setup
from guestbook.storage import migrate_to as migrating
from guestbook.storage import restore as restoring
from guestbook.storage.migrate_to import MoveReport, TargetAway
from guestbook.storage.restore import Comparison, RestoreReport, StagedBook

HAS_NO_KEY = (
    "Its secrets are encrypted. Keep a copy of the secret key elsewhere: without it nobody can read them{}."
)
HAS_SECRETS = "It holds every secret of the book unencrypted, so keep it where only you can read it."


@click.command(cls=app_command.AnyVersionCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="Add the time to the name, and remove all but this many such backups.",
)
@output.as_json
def backup(file: Path, keep: int | None, as_json: bool) -> None:
    """Write the whole book to one file, while it is in use.

    The file has the rows of one moment, from whatever database, but not the secret key. If FILE is an earlier
    backup, it is replaced. If FILE is a folder, the backup is stored in it, with the time in its name.
    """
    settings = app_command.settings()
    if keep or files.type_of(file) == stat.S_IFDIR:
        file = backups.dated(file, clock.now())
    report = backups.write(settings, file, progress=show_progress)
    removed = backups.remove_older(settings, report.path, keep) if keep else []
    if as_json:
        removed_names = [str(path) for path in removed]
        output.print_json({"file": str(report.path), "rows": report.rows, "removed": removed_names})
        return
    is_ours = secret_key.is_in_data_folder(settings.data_dir, settings.secret_key)
    where = f" ({settings.data_dir / secret_key.KEY_FILE})" if is_ours else ""
    output.say(
        f"The backup is in {report.path}: {contents(report.rows)}, read again and compared.",
        removed and f"Removed {counted(len(removed), 'older backup')}.",
        HAS_NO_KEY.format(where) if settings.keyring.can_encrypt else HAS_SECRETS,
    )


def contents(rows: dict[str, int]) -> str:
    """Return how many rows a book has, in words."""
    nouns = (("comment", "comments"), ("webhook", "webhooks"), ("delivery", "deliveries"))
    parts = [counted(rows.get(many, 0), one, many) for one, many in nouns]
    return f"{', '.join(parts)}, {counted(sum(rows.values()), 'row')} in all"


OTHER_KEY = (
    "The book had another secret key than this host. Logins and links from before end, and inbound events "
    "that a token proves will fail. The page on backups says how to set the old key."
)
LOCKED = (
    "Its secrets are encrypted with the old key, so nothing is sent with them, and deliveries wait. Put the "
    "old key into GUESTBOOK_SECRET_KEY_FALLBACKS or into {}, restart the web server and workers, "
    "and run encrypt-secrets."
)


@click.command(cls=app_command.AnyVersionCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--hold", is_flag=True, help="Disable all webhooks, so that nothing is sent until you enable them."
)
@output.yes_option
@output.as_json
def restore(file: Path, hold: bool, yes: bool, as_json: bool) -> None:
    """Put a backup in the place of the book, and check it.

    It verifies FILE, says what would change, and asks. The book's database may be of another kind than that
    of the backup. It makes a backup of the present book first. If it is interrupted, the present book stays.
    """
    settings = app_command.settings()
    with restoring.staged(settings, file) as staged_book:
        with engine_setup.opened(settings) as engine, restoring.readable(engine):
            found = restoring.compare(engine, staged_book)
        if not as_json:
            _describe(file, staged_book, found, hold)
        if not yes:
            output.ask("Replace the present book?", "Nothing was changed.", "restore", as_json=as_json)
        held = restoring.hold(staged_book) if hold else 0
        report = restoring.run(settings, staged_book, progress=show_progress, waiting=say_waiting)
    if as_json:
        output.print_json(_document(staged_book, found, report, held))
    else:
        _print(report, held)


def _describe(file: Path, staged_book: StagedBook, found: Comparison, hold: bool) -> None:
    gone, back, made_at = found.comments_gone, found.comments_back, clock.to_text(staged_book.label.made_at)
    sent = "They will be sent, some for the second time. With --hold all webhooks are disabled first."
    held = "All webhooks will be disabled, so nothing is sent until you enable them."
    output.say(
        f"{file} was made at {made_at}: {contents(staged_book.rows)}.",
        f"The present book has {counted(found.comments, 'comment')}: {gone:,} that the backup does not have "
        f"would go. {back:,} that the present book does not have would come.",
        f"The backup has {counted(found.waiting, 'delivery', 'deliveries')} to send. The present book has "
        f"finished {found.finished_since:,} of them since, and does not know {found.unknown:,}.",
        found.inbound and f"The backup has {counted(found.inbound, 'inbound event')} to process.",
        held if hold else found.waiting and sent,
    )


def _print(report: RestoreReport, held: int) -> None:
    before, enable = report.before, app_command.typed("webhooks enable ID")
    output.say(
        before and f"The book from before is in {before.path}: {contents(before.rows)}.",
        f"The book is restored: {contents(report.rows)}, each compared.",
        held and f"{counted(held, 'webhook')} disabled. Enable each with: {enable}",
        not report.has_key and OTHER_KEY,
        report.unreadable and LOCKED.format(app_command.settings().data_dir / secret_key.OLD_KEYS_FILE),
    )


def _document(staged_book: StagedBook, found: Comparison, report: RestoreReport, held: int) -> dict[str, Any]:
    return {
        "made_at": clock.to_text(staged_book.label.made_at),
        "rows": report.rows,
        "comments_gone": found.comments_gone,
        "comments_back": found.comments_back,
        "deliveries_to_send": found.waiting,
        "finished_since": found.finished_since,
        "webhooks_disabled": held,
        "secret_key": "same" if report.has_key else "different",
        "rows_with_unreadable_secrets": report.unreadable,
        "before": str(report.before.path) if report.before else None,
    }


CHECKSUM_LENGTH = 12  # characters
NEXT = """\
Now set GUESTBOOK_DATABASE_URL to it, and start the web server, cron and workers again. Keep the data folder:
the book needs the secret_key in it. If you have several hosts, set the same GUESTBOOK_SECRET_KEY on all."""


def _url(context: click.Context, param: click.Parameter, value: str) -> str:
    """Read the target's URL; `-` stands for standard input."""
    try:
        return database_url.parse(options.secret(context, param, value) or "")
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


@click.command("migrate-to", cls=app_command.AppCommand)
@click.argument("url", callback=_url)
@output.as_json
def migrate_to(url: str, as_json: bool) -> None:
    """Copy the book to another database, and check the copy.

    Stop the web server, cron and workers first. URL is like GUESTBOOK_DATABASE_URL; with - it is read from
    standard input, which hides its password. The database must be empty. If the command is interrupted, or
    the book changes meanwhile, the database stays empty: run it again.
    """
    try:
        report = migrating.run(app_command.settings(), url, progress=show_progress, waiting=say_waiting)
    except TargetAway as error:
        click.echo(f"The target cannot be used now: {printable(str(error))}.", err=True)
        sys.exit(TRY_LATER)
    if as_json:
        output.print_json(_moved_document(report))
        return
    rows = [(name, one.rows, str(one)[:CHECKSUM_LENGTH]) for name, one in report.tables.items()]
    output.print_table(("TABLE", "ROWS", "CHECKSUM"), rows, "")
    total = counted(sum(one.rows for one in report.tables.values()), "row")
    click.echo(f"\nThe copy in {report.place} is complete: {total}, each compared.")
    click.echo(NEXT)


def _moved_document(report: MoveReport) -> dict[str, Any]:
    """Return the report as JSON. The target was empty, and what differs was refused."""
    always = {"there_already": 0, "removed": 0, "is_whole": True, "is_still": True}
    return {
        "target": report.place,
        "tables": [
            {"table": name, "rows": one.rows, "checksum": str(one), "copied": one.rows, **always}
            for name, one in report.tables.items()
        ],
    }

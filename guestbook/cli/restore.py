"""The command that puts a backup in the place of the book."""

from pathlib import Path
from typing import Any

import click

from guestbook.cli import app_command, output, question
from guestbook.cli.backup import contents
from guestbook.cli.long_work import say_waiting, show_progress
from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.settings import secret_key
from guestbook.storage import engine_setup
from guestbook.storage.restore import present_book, replacement, staging
from guestbook.storage.restore.present_book import Comparison
from guestbook.storage.restore.replacement import RestoreReport
from guestbook.storage.restore.staging import StagedBook

OTHER_KEY = (
    "The book had another secret key than this host. Logins and links from before end, and inbound events "
    "that a token proves will fail. The page on backups says how to set the old key."
)
LOCKED = (
    "Its secrets are encrypted with the old key, so nothing is sent with them, and deliveries wait. Put the "
    "old key into GUESTBOOK_SECRET_KEY_FALLBACKS or into {}, and restart the web server and workers."
)


@click.command(cls=app_command.AnyVersionCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--hold", is_flag=True, help="Disable all webhooks, so that nothing is sent until you enable them."
)
@question.yes_option
@output.as_json
def restore(file: Path, hold: bool, yes: bool, as_json: bool) -> None:
    """Put a backup in the place of the book, and check it.

    It verifies FILE, says what would change, and asks. The book's database may be of another kind than that
    of the backup. It makes a backup of the present book first. If it is interrupted, the present book stays.
    """
    settings = app_command.settings()
    with staging.staged(settings, file) as staged_book:
        found = _compared(staged_book)
        if not as_json:
            _describe(file, staged_book, found, hold)
        if not yes:
            question.ask(
                "Replace the present book?", nothing="Nothing was changed.", verb="restore", as_json=as_json
            )
        held = staging.hold(staged_book) if hold else 0
        report = replacement.run(settings, staged_book, progress=show_progress, waiting=say_waiting)
    if as_json:
        output.print_json(_document(staged_book, found, report, held))
    else:
        _print(report, held)


def _compared(staged_book: StagedBook) -> Comparison:
    with engine_setup.opened(app_command.settings()) as engine, replacement.readable(engine):
        return present_book.compare(engine, staged_book)


def _describe(file: Path, staged_book: StagedBook, found: Comparison, hold: bool) -> None:
    label = staged_book.label
    click.echo(f"{file} was made at {clock.to_text(label.made_at)}: {contents(staged_book.rows)}.")
    gone, back = found.comments_gone, found.comments_back
    click.echo(
        f"The present book has {counted(found.comments, 'comment')}: {gone:,} that the backup does not have "
        f"would go. {back:,} that the present book does not have would come."
    )
    click.echo(
        f"The backup has {counted(found.waiting, 'delivery', 'deliveries')} to send. The present book has "
        f"finished {found.finished_since:,} of them since, and does not know {found.unknown:,}."
    )
    if found.inbound:
        click.echo(f"The backup has {counted(found.inbound, 'inbound event')} to process.")
    if hold:
        click.echo("All webhooks will be disabled, so nothing is sent until you enable them.")
    elif found.waiting:
        click.echo(
            "They will be sent, some for the second time. With --hold all webhooks are disabled first."
        )


def _print(report: RestoreReport, held: int) -> None:
    if report.before:
        click.echo(f"The book from before is in {report.before.path}: {contents(report.before.rows)}.")
    click.echo(f"The book is restored: {contents(report.rows)}, each compared.")
    if held:
        enable = app_command.typed("webhooks enable")
        click.echo(f"{counted(held, 'webhook')} disabled. Enable each with: {enable} ID")
    if not report.has_key:
        click.echo(OTHER_KEY)
    if report.unreadable:
        click.echo(LOCKED.format(app_command.settings().data_dir / secret_key.OLD_KEYS_FILE))


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

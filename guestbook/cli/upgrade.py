"""The command that brings an older book up to date."""

from typing import TYPE_CHECKING, Any

import click

from guestbook.cli import app_command, output
from guestbook.cli.long_work import say_waiting, show_progress
from guestbook.lib.text import counted

if TYPE_CHECKING:
    from guestbook.storage.upgrade import UpgradeReport


@click.command(cls=app_command.AnyVersionCommand)
@output.as_json
def upgrade(as_json: bool) -> None:
    """Bring an older book to this version of the program. It makes a backup first.

    Run it after each update of the program. If it is interrupted, run it again. Pages answer that the book is
    being updated meanwhile, and nothing is sent.
    """
    from guestbook.storage import upgrade as storage_upgrade  # here: Alembic makes a start slower

    report = storage_upgrade.run(app_command.settings(), progress=show_progress, waiting=say_waiting)
    if as_json:
        output.print_json(_document(report))
    else:
        _print(report)


def _print(report: "UpgradeReport") -> None:
    if not report.backup:
        click.echo(f"The book is up to date: it has version {report.after}.")
        return
    rows = sum(report.backup.rows.values())
    click.echo(f"The backup is in {report.backup.path}: {counted(rows, 'row')}, read again and compared.")
    for one in report.migrations:
        click.echo(f"{one.version}  {one.title} ({one.seconds:.1f} s)")
    click.echo(f"The book is up to date: it has version {report.after} now. It was {report.before}.")


def _document(report: "UpgradeReport") -> dict[str, Any]:
    return {
        "before": report.before,
        "after": report.after,
        "backup": str(report.backup.path) if report.backup else None,
        "migrations": [
            {"version": one.version, "title": one.title, "seconds": round(one.seconds, 3)}
            for one in report.migrations
        ],
    }

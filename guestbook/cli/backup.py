"""The command that makes a backup."""

import stat
from pathlib import Path

import click

from guestbook.cli import app_command, output
from guestbook.cli.long_work import show_progress
from guestbook.lib import clock, file_access
from guestbook.lib.text import counted
from guestbook.settings import secret_key
from guestbook.storage import backup as storage_backup
from guestbook.storage import backup_rotation

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
    if keep or file_access.type_of(file) == stat.S_IFDIR:
        file = backup_rotation.dated(file, clock.now())
    report = storage_backup.write(settings, file, progress=show_progress)
    removed = backup_rotation.remove_older(settings, report.path, keep) if keep else []
    if as_json:
        removed_names = [str(path) for path in removed]
        output.print_json({"file": str(report.path), "rows": report.rows, "removed": removed_names})
        return
    click.echo(f"The backup is in {report.path}: {contents(report.rows)}, read again and compared.")
    if removed:
        click.echo(f"Removed {counted(len(removed), 'older backup')}.")
    is_ours = secret_key.is_in_data_folder(settings.data_dir, settings.secret_key)
    where = f" ({settings.data_dir / secret_key.KEY_FILE})" if is_ours else ""
    click.echo(HAS_NO_KEY.format(where) if settings.keyring.can_encrypt else HAS_SECRETS)


def contents(rows: dict[str, int]) -> str:
    """Return how many rows a book has, in words."""
    nouns = (("comment", "comments"), ("webhook", "webhooks"), ("delivery", "deliveries"))
    parts = [counted(rows.get(many, 0), one, many) for one, many in nouns]
    return f"{', '.join(parts)}, {counted(sum(rows.values()), 'row')} in all"

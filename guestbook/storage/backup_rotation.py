"""Backups with the time in their names, of which the newest are kept."""

import re
from datetime import datetime
from pathlib import Path

from guestbook.lib.errors import Refused
from guestbook.settings import Settings, database_url
from guestbook.storage import backup, backup_file

IN_FOLDER = "guestbook.db"  # what a backup is called if only its folder is named
TIME_FORMAT = "%Y%m%dT%H%M%SZ"
TIME = r"\d{8}T\d{6}Z"


def dated(path: Path, now: datetime) -> Path:
    """Add the time to a name: `book.db` becomes `book-20260131T235959Z.db`."""
    path = path / IN_FOLDER if path.is_dir() else path
    return path.with_name(f"{path.stem}-{now:{TIME_FORMAT}}{path.suffix}")


def remove_older(settings: Settings, newest: Path, keep: int) -> list[Path]:
    """Remove all but so many of the backups named like the newest one; return those that were removed.

    Files that are no backups stay, and so does the book. Raises Refused.
    """
    name = re.escape(newest.name)
    alike = re.compile(re.sub(TIME, lambda _: TIME, name))
    book = database_url.plain_path(settings.database_url)
    removed = []
    try:
        files = sorted(path for path in newest.parent.iterdir() if alike.fullmatch(path.name))
        plain = [path for path in files if path.is_file() and not path.is_symlink()]
        ours = [path for path in plain if backup_file.is_backup(path)]
        for path in ours[:-keep]:
            if book is None or path.resolve() != (settings.data_dir / book).resolve():
                path.unlink()
                removed.append(path)
        _remove_unfinished(newest, alike)
    except OSError as error:
        raise Refused(f"Older backups in {newest.parent} cannot be removed: {error.strerror}.") from None
    return removed


def _remove_unfinished(newest: Path, alike: re.Pattern[str]) -> None:
    """Remove what backups left that were killed."""
    for path in newest.parent.glob(f"*{backup.UNFINISHED}"):
        if alike.fullmatch(path.name.removesuffix(backup.UNFINISHED)):
            backup.remove(path)

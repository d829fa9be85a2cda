"""How much room the book's disk has, and which files in the data folder the owner may remove to make some."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from guestbook.lib.errors import Refused
from guestbook.settings import Settings, database_url
from guestbook.storage import backup, restore

FULL_BYTES = 300_000  # bytes; with less SQLite can store hardly anything


@dataclass(frozen=True, slots=True)
class DiskRoom:
    """Numbers of bytes: free ones, all of the disk, and those of the book's own file with its log."""

    free: int
    total: int
    database: int


def look(settings: Settings) -> DiskRoom:
    """Return the room on the fuller of the disks of the data folder and of the database's file."""
    file = database_url.sqlite_file(settings.data_dir, settings.database_url)
    folders = {settings.data_dir, file.parent if file else settings.data_dir}
    usage = min((shutil.disk_usage(folder) for folder in folders), key=lambda one: one.free)
    parts = [file.with_name(file.name + end) for end in backup.JOURNALS] if file else []
    return DiskRoom(usage.free, usage.total, sum(part.stat().st_size for part in parts if part.exists()))


def is_full(settings: Settings) -> bool:
    """Whether the disk is full. One whose quota is used up looks as if it had room."""
    with suppress(OSError):
        return look(settings).free < FULL_BYTES
    return False


def removable(settings: Settings) -> dict[str, int]:
    """Return the sizes of the files that the book can do without, by their paths from the data folder."""
    files = [settings.data_dir / name for name in backup.find(settings)]
    file = database_url.sqlite_file(settings.data_dir, settings.database_url)
    if file and file.parent == settings.data_dir:
        files += file.parent.glob(f"{file.stem}{restore.KEPT_DAMAGED}*")
    return {path.relative_to(settings.data_dir).as_posix(): path.stat().st_size for path in sorted(files)}


def remove(settings: Settings, names: list[str]) -> int:
    """Remove some of these files; return how many bytes they had. Raises Refused."""
    sizes = removable(settings)
    if not names or not set(names) <= sizes.keys():
        raise Refused("Choose files of the list.", field="files")
    for name in names:
        path: Path = settings.data_dir / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise Refused(f"{name} cannot be removed: {error.strerror}.", field="files") from None
    return sum(sizes[name] for name in set(names))

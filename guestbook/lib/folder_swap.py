"""Replace a whole folder at once: whoever reads it sees the old files or the new ones, and never both."""

import ctypes
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guestbook.lib.errors import Refused

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of renameat2(2)


@contextmanager
def replacing(folder: Path, mark: str) -> Iterator[Path]:
    """Give an empty folder, which takes the place of `folder` in the end; raises Refused.

    A file named `mark` says that a folder may be replaced. One without it must be empty.
    """
    folder = folder.resolve()
    _check(folder, mark)
    part = folder.with_name(f".{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    held = _lock(part, folder)
    try:
        _clear(part)
        (part / mark).touch()
        yield part
        if folder.exists():
            _exchange(part, folder)
        else:
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        os.close(held)


def _check(folder: Path, mark: str) -> None:
    parent = folder.parent
    if os.access(parent, os.X_OK) and not os.access(parent, os.W_OK):  # else the folder's own right misleads
        raise Refused(f"{folder} cannot be replaced: this user may not make a new folder in {parent}.")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise Refused(f"{folder} is not a folder.")
    if any(folder.iterdir()) and not (folder / mark).exists():
        raise Refused(f"{folder} has other files, which would be lost. Name a new folder or an empty one.")


def _lock(part: Path, folder: Path) -> int:
    """Lock the folder that is filled, so that two programs do not fill it together."""
    held = os.open(part, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise Refused(f"Another program is writing {folder} now.") from None
    return held


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change places, in one step where the system can."""
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)  # Linux; others and old C libraries have none
    names = os.fsencode(one), os.fsencode(other)
    if exchange and exchange(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0:
        return
    old = other.with_name(f".{other.name}.old")
    shutil.rmtree(old, ignore_errors=True)  # of a run that was killed
    other.rename(old)
    one.rename(other)
    shutil.rmtree(old)

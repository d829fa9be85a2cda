"""Replace a whole folder at once: whoever reads it sees the old files or the new ones, and never both."""

import ctypes
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from guestbook.lib import file_replacement
from guestbook.lib.errors import Refused

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of renameat2(2)
FOLDER_ALONE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextmanager
def replacing(folder: Path, mark: str) -> Iterator[Path]:
    """Give an empty folder, which takes the place of `folder` in the end; raises Refused.

    A file named `mark` says that a folder may be replaced. One without it must be empty. The new folder has a
    random name until then, and no link is followed: only what this made or marked is ever emptied.
    """
    file_replacement.refuse_link(folder)
    folder = folder.resolve()
    _check(folder, mark)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(folder, mark)
    part = _fresh(folder)
    held = os.open(part, FOLDER_ALONE)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)  # it says that a program is at work here
        inside = Path(f"/proc/self/fd/{held}")  # stays this folder, whatever gets its name; on Linux
        inside = inside if inside.is_dir() else part
        (inside / mark).touch()
        yield inside
        _check(folder, mark)
        if not os.path.samestat(part.lstat(), os.fstat(held)):
            raise Refused(f"{part} was replaced meanwhile.")
        if folder.exists():
            _exchange(part, folder)
        else:
            part.rename(folder)
    finally:
        _remove(part, mark)
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


def _fresh(folder: Path) -> Path:
    """Make an empty folder beside it."""
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.part")
    part.mkdir()
    return part


def _remove_left(folder: Path, mark: str) -> None:
    """Remove the folders of runs that were killed: marked ones of this user that no program has locked."""
    for left in folder.parent.iterdir():
        if not (left.name.startswith(f".{folder.name}.") and left.suffix == ".part" and left.is_dir()):
            continue
        try:
            held = os.open(left, FOLDER_ALONE)
        except OSError:
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(held).st_uid == os.geteuid():
                _remove(left, mark)
        except OSError:  # another program is at work
            pass
        finally:
            os.close(held)


def _remove(part: Path, mark: str) -> None:
    """Remove a marked folder or an empty one, and no other; a link stays."""
    with suppress(OSError):
        if (part / mark).exists():
            shutil.rmtree(part)
        else:
            part.rmdir()


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change places, in one step where the system can."""
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)  # Linux; others and old C libraries have none
    names = os.fsencode(one), os.fsencode(other)
    if exchange and exchange(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0:
        return
    old = _fresh(other)
    other.rename(old)
    one.rename(other)
    old.rename(one)

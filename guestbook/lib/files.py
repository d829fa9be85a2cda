"""Files and folders of the owner: why one cannot be used, and how one is replaced in one step."""

import ctypes
import fcntl
import os
import pwd
import secrets
import shlex
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import TextIO

from guestbook.lib.errors import Refused


def why_not(path: Path, *, write: bool = True) -> str | None:
    """Say why a file that is there cannot be read (and written), and what helps; None when it can."""
    me = _name(os.geteuid())
    if folder := closed_folder(path):
        owner, helps = _name(folder.stat().st_uid), opening(folder) or "name a file in another folder"
        return f"{folder} belongs to {owner}, and {me} may not enter it. This helps: {helps}"
    mode = os.R_OK | os.W_OK if write else os.R_OK
    if not path.exists() or os.access(path, mode):
        return None
    owner, what = _name(path.stat().st_uid), "write" if write else "read"
    helps = f"{'chmod u+rw' if owner == me else f'sudo chown {me}'} {shlex.quote(str(path))}"
    return f"{path} belongs to {owner}, and {me} may not {what} it. This helps: {helps}"


def closed_folder(path: Path) -> Path | None:
    """Return the first folder on the way to a file that this user may not enter, if there is one."""
    for folder in reversed(path.absolute().parents):
        if not os.access(folder, os.X_OK):
            return folder if folder.is_dir() else None  # a folder that is missing is not closed
    return None


def type_of(path: Path) -> int | None:
    """Return the type of a file, such as `stat.S_IFDIR`; None where this user sees none.

    `Path.is_dir` raises an error in a closed folder, and for a name that is too long.
    """
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except OSError:
        return None


def state_of(path: Path) -> tuple[int, ...] | None:
    """Return what is another value once a file was changed or replaced; None where this user sees none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def opening(folder: Path) -> str | None:
    """Return the command that opens a folder to its owner, if this user is the owner."""
    is_mine = folder.stat().st_uid == os.geteuid()
    return f"chmod u+rwx {shlex.quote(str(folder))}" if is_mine else None


def is_read_only(path: Path) -> bool:
    """Whether nobody may write on the file system, be it after a fault of the disk."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:  # a closed folder, which why_not names, or none
        return False


def open_to_all(folder: Path) -> str | None:
    """Say how to close a folder in which every user may write; None when it is closed to them."""
    if not folder.stat().st_mode & stat.S_IWOTH:
        return None
    return f"every user of this machine may write there. This helps: chmod o-w {shlex.quote(str(folder))}"


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def refuse_link(path: Path) -> None:
    """Refuse to write where a link leads: somebody else may have put it there."""
    if path.is_symlink():
        raise Refused(f"{path} is a link. Name the file or the folder to which it leads.")


def replace_file(path: Path, text: str, *, is_secret: bool = False, is_first: bool = False) -> None:
    """Put a file with this text at the path; raises OSError."""
    with replacing(path, "utf-8", is_secret=is_secret, is_first=is_first) as file:
        file.write(text)


@contextmanager
def replacing(
    path: Path, encoding: str, *, is_secret: bool = False, is_first: bool = False, syncs: bool = False
) -> Iterator[TextIO]:
    """Give a file to write, which takes the path in the end; raises OSError, and leaves nothing then.

    A secret can be read by its owner alone. It `syncs`: it is on the disk before it takes the path, and
    survives a power cut from then on. With `is_first` the file of another process that was faster stays.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if is_secret else 0o666)
    try:
        with os.fdopen(descriptor, "w", encoding=encoding, newline="") as file:
            yield file
            if is_secret or syncs:
                file.flush()
                os.fsync(descriptor)
        if not (is_first and _linked(fresh, path)):
            fresh.replace(path)
        if is_secret or syncs:
            sync_folder(path.parent)
    finally:
        with suppress(OSError):
            fresh.unlink()


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, survive a power cut; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Do so for the names in a folder, where the file system can."""
    with suppress(OSError):
        sync(folder)


def _linked(fresh: Path, path: Path) -> bool:
    """Give the file the name as well, if it is free; return False where no step can do both."""
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        return path.exists()
    return True


AT_FDCWD, RENAME_EXCHANGE = -100, 2  # constants of renameat2(2)
FOLDER_ALONE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextmanager
def replacing_folder(folder: Path, mark: str) -> Iterator[Path]:
    """Give an empty folder, which takes the place of `folder` in the end; raises Refused.

    A file named `mark` says that a folder may be replaced. One without it must be empty. The new folder has a
    random name until then, and no link is followed: only what this made or marked is ever emptied.
    """
    refuse_link(folder)
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
        _sync_all(held)
        if folder.exists():
            _exchange(part, folder)
        else:
            part.rename(folder)
        sync_folder(folder.parent)
    finally:
        _remove(part, mark)
        os.close(held)


def _sync_all(held: int) -> None:
    """Wait until all that was written to the folder's file system is on the disk; raises OSError."""
    if getattr(ctypes.CDLL(None, use_errno=True), "syncfs", lambda _held: os.sync())(held):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _check(folder: Path, mark: str) -> None:
    parent = folder.parent
    if os.access(parent, os.X_OK) and not os.access(parent, os.W_OK):  # else the folder's own right misleads
        raise Refused(f"{folder} cannot be replaced: this user may not make a new folder in {parent}.")
    if folder.exists() and not folder.is_dir():
        raise Refused(f"{folder} is not a folder.")
    if folder.exists() and any(folder.iterdir()) and not (folder / mark).exists():
        raise Refused(f"{folder} has other files, which would be lost. Name a new folder or an empty one.")


def _fresh(folder: Path) -> Path:
    """Make an empty folder beside it."""
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.part")
    part.mkdir()
    return part


def _remove_left(folder: Path, mark: str) -> None:
    """Remove the folders of runs that were killed: marked ones of this user that no program has locked."""
    for left in folder.parent.glob(f".{escape(folder.name)}.*.part"):
        try:
            held = os.open(left, FOLDER_ALONE)
        except OSError:  # a file or a link
            continue
        with suppress(OSError):  # another program is at work
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(held).st_uid == os.geteuid():
                _remove(left, mark)
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

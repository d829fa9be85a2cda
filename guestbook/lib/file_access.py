"""Why this user cannot use a file or a folder, in a sentence that says how to fix it.

After one `sudo flask … cron`, files in the data folder belong to root.
"""

import os
import pwd
import shlex
import stat
from pathlib import Path


def why_not(path: Path, *, write: bool = True) -> str | None:
    """Say why a file that is there cannot be read (and written), and what helps; None when it can."""
    if folder := closed_folder(path):
        return _no_entry(folder)
    mode = os.R_OK | os.W_OK if write else os.R_OK
    if not path.exists() or os.access(path, mode):
        return None
    owner, me = _name(path.stat().st_uid), _name(os.geteuid())
    what = "write" if write else "read"
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


def opening(folder: Path) -> str | None:
    """Return the command that opens a folder to its owner, if this user is the owner."""
    is_mine = folder.stat().st_uid == os.geteuid()
    return f"chmod u+rwx {shlex.quote(str(folder))}" if is_mine else None


def is_read_only(path: Path) -> bool:
    """Whether nobody may write on the file system, be it after a fault of the disk."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:  # in a closed folder, of which why_not tells, or not there
        return False


def open_to_all(folder: Path) -> str | None:
    """Say how to close a folder in which every user may write; None when it is closed to them."""
    if not folder.stat().st_mode & stat.S_IWOTH:
        return None
    return f"every user of this machine may write there. This helps: chmod o-w {shlex.quote(str(folder))}"


def _no_entry(folder: Path) -> str:
    owner, me = _name(folder.stat().st_uid), _name(os.geteuid())
    helps = opening(folder) or "name a file in another folder"
    return f"{folder} belongs to {owner}, and {me} may not enter it. This helps: {helps}"


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)

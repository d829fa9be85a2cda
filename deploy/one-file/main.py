"""The start of guestbook.pyz, in which this is `__main__.py`.

It unpacks the program into the data folder, once. Python keeps no compiled code of what it reads from an
archive, so each pass of cron would compile the whole program again.

A server calls `application`: see docs/howto/run-from-one-file.md. This file alone runs with older Pythons
too, so that they get a sentence.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

DIGEST = ""  # scripts/release writes here what identifies the packages.
PACKAGES = "packages.zip"
FOLDERS = "program-"
FILE = Path(__file__).resolve().parent


def application():
    """Return the WSGI application of the program in this file."""
    prepare()
    from guestbook import create_app

    return create_app()


def main():
    """Run the command that was typed."""
    prepare()
    import guestbook

    guestbook.main()


def prepare():
    """Let this process, and those that it starts, find the program; end with a sentence where that fails."""
    if sys.version_info < (3, 11):  # noqa: UP036  Nobody has installed it, which would have checked that.
        sys.exit(f"Error: The guestbook needs Python 3.11 or later, and this is {sys.version.split()[0]}.")
    if sys.platform == "win32":
        sys.exit("Error: The guestbook needs Linux, macOS or another Unix. On Windows, run it in WSL.")
    try:
        folder = data_folder() / (FOLDERS + DIGEST)
        while not locked(folder):
            unpack(folder)
    except (OSError, RuntimeError) as error:  # The latter is for a user without a home folder.
        why = getattr(error, "strerror", None) or str(error).rstrip(".")
        sys.exit(f"Error: {FILE.name} cannot be unpacked into the data folder: {why}.")
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    os.environ["_GUESTBOOK_FILE"] = str(FILE)  # installation.py names it to the owner


def data_folder():
    """Return the folder that the environment names, or else the user's, as the program without `.env`."""
    named = os.environ.get("GUESTBOOK_DATA_DIR", "").strip()
    if named:
        return Path(named).expanduser().resolve()
    data_home = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (data_home if data_home.is_absolute() else Path("~/.local/share").expanduser()) / "guestbook"


def locked(folder):
    """Keep a folder until this process ends; return whether it is there."""
    import fcntl

    try:
        number = os.open(str(folder), os.O_RDONLY)  # never closed
    except FileNotFoundError:
        return False
    with suppress(OSError):  # Some network disks know no locks.
        fcntl.flock(number, fcntl.LOCK_SH)
    return folder.exists()


def unpack(folder):
    """Unpack the program, and remove older ones. A process that is killed leaves nothing half done."""
    import io
    import shutil
    import tempfile
    import zipfile
    import zlib

    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=str(folder.parent)))
    locked(unfinished)
    try:
        with zipfile.ZipFile(str(FILE)) as archive:
            packages = io.BytesIO(archive.read(PACKAGES))
        zipfile.ZipFile(packages).extractall(str(unfinished))
        unfinished.chmod(0o755)
        os.sync()  # After a power cut, the folder could else have its name without its files.
        unfinished.rename(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        sys.exit(f"Error: {FILE.name} is damaged. Copy it to this host again, in binary mode.")
    except OSError:
        if not folder.exists():  # No other process was faster.
            raise
    finally:
        shutil.rmtree(str(unfinished), ignore_errors=True)
    for other in folder.parent.glob(FOLDERS + "[0-9a-f]" * len(DIGEST) + "*"):  # and what was not finished
        if other != folder:
            remove_unused(other)


def remove_unused(folder):
    """Remove the folder of another version, unless a process uses it: then a later update removes it."""
    import fcntl
    import shutil

    with suppress(OSError):
        number = os.open(str(folder), os.O_RDONLY)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            removed = folder.with_name(f"{folder.name}.removed")
            folder.rename(removed)  # What cannot be removed whole must not be taken for a program.
            shutil.rmtree(str(removed))
        finally:
            os.close(number)


if __name__ == "__main__":
    main()

"""The folder that keeps the database, the secret key and the locks."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from guestbook.lib import files
from guestbook.settings import installation
from guestbook.settings.environment import SETTING_PREFIX, SettingsError

DATA_DIR = SETTING_PREFIX + "DATA_DIR"
NO_ACCESS = "this user may not write there"
NO_HOME = (
    f"{DATA_DIR} is not set, and this user has no home folder: name the folder that keeps the book's data."
)


def choose(values: Mapping[str, str]) -> Path:
    """Return the folder that the settings name, or else the default of this installation."""
    named = values.get(DATA_DIR, "").strip()
    if named:
        try:
            return Path(named).expanduser().resolve()
        except (RuntimeError, OSError, ValueError) as error:
            raise SettingsError(f"{DATA_DIR} is {named!r}: {str(error).rstrip('.')}.") from None
    return default(os.environ)


def default(environ: Mapping[str, str]) -> Path:
    """Return the instance folder of a checkout, or the user's data folder; raises SettingsError.

    An installed package must not keep the book inside its virtualenv, which people delete. The user's data
    folder is that of the XDG Base Directory Specification.
    """
    if installation.in_checkout():
        return installation.CHECKOUT / "instance"
    data_home = Path(environ.get("XDG_DATA_HOME", ""))
    if not data_home.is_absolute():  # the specification ignores such a path
        data_home = _home(environ) / ".local/share"
    return (data_home / installation.PROGRAM).resolve()


def is_found_by_cron(path: Path) -> bool:
    """Whether a command finds this folder without any setting in the environment that cron gives it."""
    try:
        return path == default({})
    except SettingsError:
        return False


def _home(environ: Mapping[str, str]) -> Path:
    try:
        return Path(environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        raise SettingsError(NO_HOME) from None


def hides_settings(path: Path) -> bool:
    """Whether the folder may hold a `.env` that this user cannot read."""
    dotenv = path / ".env"
    try:
        is_closed = path.is_dir() and not os.access(path, os.R_OK | os.X_OK)
        return is_closed or (dotenv.exists() and not os.access(dotenv, os.R_OK))
    except PermissionError:  # a folder above it is closed
        return True


def make(path: Path) -> None:
    """Make the folder if it is missing, readable by its owner alone: it will hold secrets."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise SettingsError(f"{DATA_DIR} is {path}: that is no folder.") from None
    except OSError as error:
        raise SettingsError(f"{DATA_DIR} is {path}: {error.strerror}.") from None
    # On a disk that is mounted read-only the book can still be read.
    if not os.access(path, os.W_OK | os.X_OK) and not files.is_read_only(path):
        raise SettingsError(f"{DATA_DIR} is {path}: {NO_ACCESS}.")
    if problem := files.open_to_all(path):
        raise SettingsError(f"{DATA_DIR} is {path}: {problem}")

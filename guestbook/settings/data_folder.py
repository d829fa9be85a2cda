"""The folder that keeps the database, the secret key and the locks."""

import os
from collections.abc import Mapping
from pathlib import Path

from guestbook.lib import file_access
from guestbook.settings.environment import SETTING_PREFIX, SettingsError

CHECKOUT = Path(__file__).resolve().parents[2]
DATA_DIR = SETTING_PREFIX + "DATA_DIR"


def choose(values: Mapping[str, str]) -> Path:
    """Return the folder that the settings name, or the instance folder of a checkout."""
    named = values.get(DATA_DIR, "").strip()
    if named:
        try:
            return Path(named).expanduser().resolve()
        except (RuntimeError, OSError, ValueError) as error:
            raise SettingsError(f"{DATA_DIR} is {named!r}: {str(error).rstrip('.')}.") from None
    if not (CHECKOUT / "setup.cfg").is_file():
        # An installed package would keep the book inside its virtualenv, which people delete.
        raise SettingsError(f"{DATA_DIR} is not set: name the folder that keeps the guestbook's data.")
    return CHECKOUT / "instance"


def make(path: Path) -> Path:
    """Make the folder if it is missing, readable by its owner alone: it will hold secrets."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise SettingsError(f"{DATA_DIR} is {path}: that is no folder.") from None
    except OSError as error:
        raise SettingsError(f"{DATA_DIR} is {path}: {error.strerror}.") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise SettingsError(f"{DATA_DIR} is {path}: this user may not write there.")
    if problem := file_access.open_to_all(path):
        raise SettingsError(f"{DATA_DIR} is {path}: {problem}")
    return path

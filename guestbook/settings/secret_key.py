"""The secret key: set, in a file that is named, or in the data folder, where a new book gets one.

After a rotation older keys still verify links and decrypt secrets: those of a setting, and those in a file.
"""

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from guestbook.lib import files
from guestbook.settings import parsers
from guestbook.settings.environment import SETTING_PREFIX, SettingsError, parsed

KEY_FILE = "secret_key"  # a name in the data folder
NAME = "the secret key's file"
OLD_KEYS_FILE = "secret_key_fallbacks"  # older keys beside it, one a line, the latest first


def read(
    values: Mapping[str, str], data_dir: Path, *, for_doctor: bool = False
) -> tuple[str, tuple[str, ...]]:
    """Return the key, and the older ones; raises SettingsError. One missing from the data folder is empty.

    For doctor a file of the data folder that is closed to this user is as one that is missing.
    """
    key = parsed(values, "SECRET_KEY", "", parsers.secret)
    named = parsed(values, "SECRET_KEY_FILE", "", str)
    older = parsed(values, "SECRET_KEY_FALLBACKS", "", parsers.secrets)
    mode, file = os.R_OK if for_doctor else os.F_OK, data_dir / KEY_FILE
    if named and not key:
        key = _of_file(Path(named), f"{SETTING_PREFIX}SECRET_KEY_FILE")
    elif not key and os.access(file, mode):
        key = _of_file(file, NAME)
    path = data_dir / OLD_KEYS_FILE
    lines = _lines(path) if os.access(path, mode) else []
    return key, tuple(dict.fromkeys((*older, *lines)))


def make(data_dir: Path) -> str:
    """Make the key of a new book, in a file that only its owner can read; raises SettingsError."""
    path = data_dir / KEY_FILE
    try:
        files.replace_file(path, secrets.token_hex(32), is_secret=True, is_first=True)
    except OSError as error:
        raise SettingsError(f"{SETTING_PREFIX}DATA_DIR is {data_dir}: {error.strerror}.") from None
    return _of_file(path, NAME)


def put_back(data_dir: Path, key: str) -> None:
    """Put a copy of the key in its place, unless there is one by now; raises OSError."""
    files.replace_file(data_dir / KEY_FILE, key, is_secret=True, is_first=True)


def replace(data_dir: Path, key: str, old: str) -> None:
    """Put a key into the data folder, and the old one into the file of older keys first; raises OSError.

    A kill between the two leaves the old key in use.
    """
    path = data_dir / OLD_KEYS_FILE
    older = _lines(path) if path.exists() else []
    lines = dict.fromkeys((old, *older))
    files.replace_file(path, "".join(f"{one}\n" for one in lines if one != key), is_secret=True)
    files.replace_file(data_dir / KEY_FILE, key, is_secret=True)


def is_in_data_folder(data_dir: Path, key: str) -> bool:
    """Whether the key in use is that of the data folder, so that a command may replace it."""
    try:
        return (data_dir / KEY_FILE).read_text().strip() == key
    except (OSError, ValueError):
        return False


def _lines(path: Path) -> list[str]:
    return _keys(path, "The file of older secret keys", lambda text: text.splitlines())


def _of_file(path: Path, name: str) -> str:
    return _keys(path, name, lambda text: [text.strip() or "-"])[0]


def _keys(path: Path, name: str, parts: Callable[[str], list[str]]) -> list[str]:
    if problem := files.why_not(path, write=False):
        raise SettingsError(problem)
    try:
        return [parsers.secret(one.strip()) for one in parts(path.read_text()) if one.strip()]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{name} is {str(path)!r}: {reason}.") from None

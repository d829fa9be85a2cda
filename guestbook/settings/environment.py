"""Where settings come from: the environment, `./.env` and the data folder's `.env`, in this order."""

import os
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import TypeVar

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from guestbook.lib import file_access

SETTING_PREFIX = "GUESTBOOK_"
BYTE_ORDER_MARK = "\ufeff"  # with which some editors begin a file
SETTING_LINE = f"{SETTING_PREFIX}NAME=value, or a quote has no end"
SECRET_SETTINGS = (
    "DATABASE_URL",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "OUTBOUND_PROXY",
    "BROKER_URL",
    "METRICS_TOKEN",
    "SMTP_URL",
    "PING_URL",
)  # no message shows these

T = TypeVar("T")


class SettingsError(Exception):
    """A setting is wrong; the text names it and says what would be right."""


class NotNow(SettingsError):
    """Something cannot be used now. The same start works when somebody has repaired it."""


class Reader:
    """Reads one setting at a time with the parser of its type."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values

    def __call__(self, name: str, default: str, parse: Callable[[str], T]) -> T:
        """Return the parsed value, or the parsed default; raises SettingsError."""
        text = self.values.get(SETTING_PREFIX + name, default).strip()
        try:
            return parse(text)
        except ValueError as error:
            shown = "wrong" if name in SECRET_SETTINGS else repr(text)
            raise SettingsError(f"{SETTING_PREFIX}{name} is {shown}: {error}.") from None


def of_process(environ: Mapping[str, str], *, with_dotenv: bool) -> dict[str, str]:
    """Return the settings of the environment and, behind them, those of the working directory's `.env`.

    It counts if this user may read it: cron can start in a folder that this user may not read.
    """
    dotenv = of_file(Path(".env")) if with_dotenv and os.access(".env", os.R_OK) else {}
    return dotenv | {name: value for name, value in environ.items() if name.startswith(SETTING_PREFIX)}


def of_file(path: Path) -> dict[str, str]:
    """Return the settings of a file `.env`, none when it is missing; raises SettingsError."""
    if problem := file_access.why_not(path, write=False):
        raise SettingsError(problem)
    try:
        text = path.read_text("utf-8").removeprefix(BYTE_ORDER_MARK) if path.is_file() else ""
    except UnicodeDecodeError:
        raise SettingsError(f"{path} cannot be read: it is not UTF-8. Save it as UTF-8 text.") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from None
    _require_pairs(path, text)
    values = dotenv_values(stream=StringIO(text))
    if any("\0" in (value or "") for value in values.values()):
        raise SettingsError(f"{path} cannot be read: a value has a NUL byte.")
    ours = (name for name in values if name.upper().startswith(SETTING_PREFIX))  # small letters are a slip
    return {name: values[name] or "" for name in ours}


def _require_pairs(path: Path, text: str) -> None:
    """Refuse a line of ours that dotenv would leave out; lines of other programs do not matter."""
    for one in parse_stream(StringIO(text)):
        if one.error and SETTING_PREFIX in one.original.string:
            line = one.original.string.strip().partition("\n")[0]
            number = one.original.line + one.original.string.partition(line)[0].count("\n")
            raise SettingsError(f"{path} cannot be read: line {number} is not {SETTING_LINE}.")

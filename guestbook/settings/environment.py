"""Where settings come from: the environment, `./.env` and the data folder's `.env`, in this order.

Also those of the `guestbook run` that is at work.
"""

import json
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import TypeVar

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from guestbook.lib import files
from guestbook.lib.errors import Refused

SETTING_PREFIX = "GUESTBOOK_"
SETTING_LINE = f"{SETTING_PREFIX}NAME=value, or a quote has no end"
SECRET_SETTINGS = (  # no message shows these
    *("DATABASE_URL", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "OUTBOUND_PROXY"),
    *("BROKER_URL", "METRICS_TOKEN", "SMTP_URL", "PING_URL"),
)

T = TypeVar("T")


class SettingsError(Exception):
    """A setting is wrong; the text names it and says what would be right."""


class NotNow(SettingsError):
    """Something cannot be used now. The same start works when somebody has repaired it."""


def parsed(values: Mapping[str, str], name: str, default: str, parse: Callable[[str], T]) -> T:
    """Return the value of a setting, or its default, read by the parser of its type; raises SettingsError."""
    text = values.get(SETTING_PREFIX + name, default).strip()
    try:
        return parse(text)
    except ValueError as error:
        shown = "wrong" if name in SECRET_SETTINGS else repr(text)
        raise SettingsError(f"{SETTING_PREFIX}{name} is {shown}: {error}.") from None


def of_file(path: Path) -> dict[str, str]:
    """Return the settings of a file `.env`, none when it is missing; raises SettingsError."""
    if problem := files.why_not(path, write=False):
        raise SettingsError(problem)
    try:
        text = path.read_text("utf-8-sig") if path.is_file() else ""
    except UnicodeDecodeError:
        raise SettingsError(f"{path} cannot be read: it is not UTF-8. Save it as UTF-8 text.") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from None
    for one in parse_stream(StringIO(text)):  # dotenv would leave out a line that is wrong
        if one.error and SETTING_PREFIX in one.original.string:
            line = one.original.string.strip().partition("\n")[0]
            number = one.original.line + one.original.string.partition(line)[0].count("\n")
            raise SettingsError(f"{path} cannot be read: line {number} is not {SETTING_LINE}.")
    values = dotenv_values(stream=StringIO(text))
    if any("\0" in (value or "") for value in values.values()):
        raise SettingsError(f"{path} cannot be read: a value has a NUL byte.")
    ours = (name for name in values if name.upper().startswith(SETTING_PREFIX))  # small letters are a slip
    return {name: values[name] or "" for name in ours}


UNSAFE_LETTERS = set("'\"\\$#`\r\n")  # They mean something in a `.env`.


def save_to_file(path: Path, changes: Mapping[str, str]) -> None:
    """Put settings into a file `.env`, in place of earlier values; other lines stay. Raises Refused."""
    files.refuse_link(path)
    if wrong := [name for name, value in changes.items() if UNSAFE_LETTERS & set(value)]:
        raise Refused(f"{' and '.join(wrong)} cannot be written to {path}: set it by hand.")
    try:
        lines = path.read_text("utf-8-sig").splitlines() if path.is_file() else []
        kept = [one for one in lines if one.partition("=")[0].removeprefix("export ").strip() not in changes]
        text = "".join(f"{line}\n" for line in (*kept, *map("=".join, changes.items())))
        before = path.stat() if path.is_file() else None
        files.replace_file(path, text, is_secret=True)
        if before:
            with suppress(OSError):  # Who could read it before, such as the user of cron, still can.
                os.chown(path, -1, before.st_gid)
                path.chmod(stat.S_IMODE(before.st_mode))
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}.") from None


RUN_FILE = "run.json"


def note_run(values: Mapping[str, str], port: str, pid: int) -> Path:
    """Let all commands use the settings of this run while it lives. The owner's settings win.

    Return the file, which the process removes at its end.
    """
    chosen = {
        SETTING_PREFIX + "BASE_URL": f"http://127.0.0.1:{port}",
        SETTING_PREFIX + "ALLOW_NETWORKS": "127.0.0.0/8,::1/128",  # a receiver on this machine can be tried
    }
    chosen = {name: values.get(name, value) for name, value in chosen.items()}
    path = Path(values[SETTING_PREFIX + "DATA_DIR"], RUN_FILE)
    noted = {"pid": int(pid), "began": _started_at(int(pid)), "settings": chosen}
    files.replace_file(path, json.dumps(noted))  # a command typed just now must not read half of it
    return path


def chosen_folder(data_dir: Path) -> dict[str, str]:
    """Return the settings of the run that lives now; nothing when there is none."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        noted = json.loads((data_dir / RUN_FILE).read_text())
        pid = int(noted["pid"])
        with suppress(PermissionError):  # it is another user's
            os.kill(pid, 0)
        if pid > 0 and _started_at(pid) == noted["began"]:
            return {str(name): str(value) for name, value in noted["settings"].items()}
    return {}


def _started_at(pid: int) -> str | None:
    """Return when a process started, in Linux's ticks: after a restart another one may have its number."""
    with suppress(OSError, ValueError):
        words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()  # its name may hold spaces
        return words[19].decode()  # field 22 of proc_pid_stat(5)
    return None

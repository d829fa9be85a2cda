"""The settings of `guestbook run`, kept in the data folder, so that commands typed beside it use them too.

The file counts as long as the process that wrote it lives. Loopback must not stay allowed after that.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from guestbook.lib import file_replacement
from guestbook.settings.environment import SETTING_PREFIX

RUN_FILE = "run.json"


def note_run(values: Mapping[str, str], port: str, pid: int) -> Path:
    """Let all commands use the settings of this run while it lives. The owner's settings win."""
    chosen = {
        SETTING_PREFIX + "BASE_URL": f"http://127.0.0.1:{port}",
        SETTING_PREFIX + "ALLOW_NETWORKS": "127.0.0.0/8,::1/128",  # a receiver on this machine can be tried
    }
    chosen = {name: values.get(name, value) for name, value in chosen.items()}
    return note(Path(values[SETTING_PREFIX + "DATA_DIR"]), pid, chosen)


def note(data_dir: Path, pid: int, chosen: Mapping[str, str]) -> Path:
    """Write down the settings of that process; return the file, which the process removes at its end."""
    path = data_dir / RUN_FILE
    noted = {"pid": int(pid), "began": _started_at(int(pid)), "settings": chosen}
    file_replacement.replace(path, json.dumps(noted))  # a command typed just now must not read half of it
    return path


def chosen(data_dir: Path) -> dict[str, str]:
    """Return the settings of the run that lives now; nothing when there is none."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        noted = json.loads((data_dir / RUN_FILE).read_text())
        pid = int(noted["pid"])
        if _lives(pid) and _started_at(pid) == noted["began"]:
            return {str(name): str(value) for name, value in noted["settings"].items()}
    return {}


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # it is another user's
    except (OSError, OverflowError):
        return False
    return pid > 0


def _started_at(pid: int) -> str | None:
    """Return when a process started, in Linux's ticks: after a restart another one may have its number."""
    with suppress(OSError, ValueError):
        words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()  # its name may hold spaces
        return words[19].decode()  # field 22 of proc_pid_stat(5)
    return None

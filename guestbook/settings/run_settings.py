"""What scripts/run chose, kept in the data folder, so that commands typed beside it use the same settings.

The file counts as long as the process that wrote it lives. Loopback must not stay allowed after that.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

FILE = "run.json"


def note(data_dir: Path, pid: int, chosen: Mapping[str, str]) -> Path:
    """Write down what the run of that process chose; return the file, which the run removes at its end."""
    path = data_dir / FILE
    fresh = path.with_name(f".{FILE}.{pid}")
    noted = {"pid": pid, "began": _began(pid), "settings": dict(chosen)}
    fresh.write_text(json.dumps(noted))
    fresh.replace(path)  # a command typed at this moment must not read half a file
    return path


def chosen(data_dir: Path) -> dict[str, str]:
    """Return what the run chose that goes on now; nothing when there is none."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        noted = json.loads((data_dir / FILE).read_text())
        pid = int(noted["pid"])
        if _lives(pid) and _began(pid) == noted["began"]:
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


def _began(pid: int) -> str | None:
    """Return when a process began, in Linux's ticks: after a restart another one may have its number."""
    with suppress(OSError, ValueError):
        words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()  # its name may hold spaces
        return words[19].decode()  # field 22 of proc_pid_stat(5)
    return None

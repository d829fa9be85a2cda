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
    fresh.write_text(json.dumps({"pid": pid, "settings": dict(chosen)}))
    fresh.replace(path)  # a command typed at this moment must not read half a file
    return path


def chosen(data_dir: Path) -> dict[str, str]:
    """Return what the run chose that goes on now; nothing when there is none."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        noted = json.loads((data_dir / FILE).read_text())
        if _lives(int(noted["pid"])):
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

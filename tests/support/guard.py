"""What tests start ends with pytest, even where that is killed."""

import atexit
import subprocess
import sys
from functools import cache

GUARD = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line.startswith("+") else groups.discard)(int(line[1:]))
for number in groups:
    try:
        os.killpg(number, signal.SIGKILL)
    except OSError:
        pass
"""


def add(group: int) -> None:
    """Kill that process group when this process ends, however that comes."""
    _tell(f"+{group}")


def discard(group: int) -> None:
    """Leave a group alone that has ended: its number may become another's."""
    _tell(f"-{group}")


def _tell(line: str) -> None:
    stdin = _guard().stdin
    assert stdin
    stdin.write(line + "\n")
    stdin.flush()


@cache
def _guard() -> "subprocess.Popen[str]":
    """Start a process that sees the end of this one by the end of its input."""
    command = [sys.executable, "-S", "-c", GUARD]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
    atexit.register(process.communicate)
    return process

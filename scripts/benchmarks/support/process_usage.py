"""CPU seconds and memory of processes, ours and the servers' beside them, read with psutil."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from scripts.benchmarks.support import report

SERVERS = {  # the names of a server's processes
    "postgresql": ("postgres",),
    "mysql": ("mariadbd", "mysqld"),
    "mariadb": ("mariadbd", "mysqld"),
    "redis": ("redis-server",),
}
COLUMNS = ("n", "per second", "range", "CPU ms each", "servers' CPU ms", "peak MB", "busy cores")


class Usage(NamedTuple):
    """The figures of a measurement."""

    seconds: float
    cpu: float  # seconds, user and system, of the measured processes
    server: float  # CPU seconds of the servers' own processes
    cores: float  # busy ones on the whole machine
    mb: float  # the sum of the processes' peaks


def cells(rounds: Sequence[Usage], count: int) -> list[str | float | None]:
    """Return the cells below COLUMNS for the rounds of one row, each with so many deliveries."""
    each, middle = 1000 / count, medians(rounds)
    return [
        len(rounds),
        round(count / middle.seconds),
        report.spread([count / one.seconds for one in rounds]),
        middle.cpu * each,
        middle.server * each or None,
        round(middle.mb),
        f"{middle.cores:.1f}",
    ]


def medians(usages: Iterable[Usage]) -> Usage:
    """Return the median of each figure."""
    return Usage(*map(median, zip(*usages, strict=True)))


class Meter:
    """Measures processes with their children, and the named servers, from now on."""

    def __init__(self, pids: Sequence[int], servers: Iterable[str] = ()) -> None:
        self._pids = pids
        self._servers = {name for server in servers for name in SERVERS.get(server, ())}
        self._before, self._start = self._read(), time.monotonic()

    def usage(self, seconds: float | None = None) -> Usage:
        """Return the usage until now; `seconds` is the time if it ended earlier. The processes must live."""
        took = time.monotonic() - self._start
        used, server, busy = (now - before for now, before in zip(self._read(), self._before, strict=True))
        mb = sum(memory(pid, "VmHWM") for pid in family(self._pids))
        return Usage(seconds or took, used, server, busy / took, mb)

    def _read(self) -> tuple[float, float, float]:
        """Return the CPU seconds of the processes, of the servers, and of all cores."""
        cores = psutil.cpu_times()
        all_busy = cores.user + cores.nice + cores.system + cores.irq + cores.softirq
        servers = [one.pid for one in psutil.process_iter(["name"]) if one.info["name"] in self._servers]
        return cpu(family(self._pids)), cpu(servers), all_busy


# Linux counts the memory of the process that starts another one as the other's, so a small one starts it.
RUN_AND_MEASURE = """
import os, sys
null = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
_, status, used = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=null), 0)
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def of_command(command: Sequence[str], environ: Mapping[str, str]) -> tuple[int, float, float]:
    """Run a command; return its exit code, its CPU seconds and its peak memory in MB."""
    line, env = (sys.executable, "-S", "-c", RUN_AND_MEASURE, *command), {**os.environ, **environ}
    code, used, mb = subprocess.run(line, env=env, stdout=subprocess.PIPE, check=True).stdout.split()
    return int(code), float(used), float(mb)


def cpu(pids: Iterable[int]) -> float:
    """Return the CPU seconds that these have used, with those of their children that have ended."""
    used = 0.0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            used += sum(psutil.Process(pid).cpu_times()[:4])
    return used


def memory(pid: int, line: str = "VmRSS") -> float:
    """Return the memory of a process in MB: VmRSS now, VmHWM at its peak; 0 when it has ended."""
    with suppress(OSError):
        found = re.search(rf"{line}:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def family(pids: Iterable[int]) -> list[int]:
    """Return these processes and all their descendants."""
    found = list(pids)
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            found += [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return found

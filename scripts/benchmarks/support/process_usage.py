"""CPU seconds and memory of processes, ours and the servers' beside them, from Linux's /proc."""

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

from scripts.benchmarks.support import report

TICKS = os.sysconf("SC_CLK_TCK")
SERVERS = {  # the names of a server's processes
    "postgresql": ("postgres",),
    "mysql": ("mariadbd", "mysqld"),
    "mariadb": ("mariadbd", "mysqld"),
    "rabbitmq": ("beam.smp",),
    "redis": ("redis-server",),
}
COLUMNS = (
    "n",
    "per second",
    "range",
    "CPU ms each",
    "servers' CPU ms",
    "peak MB",
    "busy cores",
    "receiver's cores",
)


@dataclass(frozen=True, slots=True)
class Usage:
    """The figures of a measurement."""

    seconds: float
    cpu: float  # seconds, user and system, of the measured processes
    server: float  # CPU seconds of the servers' own processes
    cores: float  # busy ones on the whole machine
    mb: float  # the sum of the processes' peaks
    receiver: float  # the part of a core that the receiver was busy; near 1 it was the limit


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
        f"{middle.receiver:.2f}",
    ]


def medians(usages: Iterable[Usage]) -> Usage:
    """Return the median of each figure."""
    return Usage(*map(median, zip(*map(astuple, usages), strict=True)))


class Meter:
    """Measures processes with their children, the named servers and the receiver, from now on."""

    def __init__(self, pids: Sequence[int], servers: Iterable[str] = (), receiver: int | None = None) -> None:
        self._pids, self._receiver = pids, [receiver] if receiver else []
        names = {name for server in servers for name in SERVERS.get(server, ())}
        self._servers = {root: cpu(family([root])) for root in _roots(names)}
        self._received = cpu(self._receiver)
        self._busy, self._cpu, self._start = _busy(), cpu(family(pids)), time.monotonic()

    def usage(self, seconds: float | None = None) -> Usage:
        """Return the usage until now; `seconds` is the time if it ended earlier. The processes must live."""
        took, used, busy = time.monotonic() - self._start, cpu(family(self._pids)), _busy()
        servers = {root: cpu(family([root])) for root in self._servers}
        server = sum(now - self._servers[root] for root, now in servers.items() if now)
        mb = sum(memory(pid, "VmHWM") for pid in family(self._pids))
        received = (cpu(self._receiver) - self._received) / took
        return Usage(seconds or took, used - self._cpu, server, (busy - self._busy) / took, mb, received)


def cpu(pids: Iterable[int]) -> float:
    """Return the CPU seconds that these have used, with those of their children that have ended."""
    return sum(sum(map(int, _stat(pid)[1][11:15])) for pid in pids) / TICKS


def memory(pid: int, line: str = "VmRSS") -> float:
    """Return the memory of a process in MB: VmRSS now, VmHWM at its peak; 0 when it has ended."""
    with suppress(OSError):
        found = re.search(rf"{line}:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def family(pids: Iterable[int]) -> list[int]:
    """Return these processes and all their descendants."""
    children = defaultdict(list)
    for pid in _pids():
        children[int(_stat(pid)[1][1])].append(pid)
    found = list(pids)
    for pid in found:  # the list grows meanwhile
        found += children[pid]
    return found


def _roots(names: set[str]) -> list[int]:
    """Return the processes of these names whose parents have none of them."""
    stats = {pid: _stat(pid) for pid in _pids()} if names else {}
    named = {pid for pid, (name, _) in stats.items() if name in names}
    return [pid for pid in named if int(stats[pid][1][1]) not in named]


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _stat(pid: int) -> tuple[str, list[str]]:
    """Return a process's name and its fields from the third on (proc(5)); zeros when it has ended."""
    with suppress(OSError):
        before, _, after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        return before.partition("(")[2], after.split()
    return "", ["0"] * 15


def _busy() -> float:
    """Return the CPU seconds that all cores have worked: user, nice, system, irq, softirq."""
    user, nice, system, _idle, _wait, irq, soft = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + soft) / TICKS

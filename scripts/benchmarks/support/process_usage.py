"""What processes use, from Linux's /proc: CPU seconds and memory, of ours and of the servers beside them."""

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SERVERS = {  # the names of a server's processes
    "postgresql": ("postgres",),
    "mysql": ("mariadbd", "mysqld"),
    "mariadb": ("mariadbd", "mysqld"),
    "rabbitmq": ("beam.smp",),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What a measured stretch has taken."""

    seconds: float
    cpu: float  # seconds, user and system, of the processes that were measured
    server: float  # CPU seconds of the servers' own processes
    cores: float  # that were busy on the machine, whoever used them
    mb: float  # the sum of the processes' peaks


class Meter:
    """Measures processes with their children, and the named servers, from now on."""

    def __init__(self, pids: Sequence[int], servers: Iterable[str] = ()) -> None:
        self._pids = pids
        names = {name for server in servers for name in SERVERS.get(server, ())}
        self._servers = {root: cpu(family([root])) for root in _roots(names)}
        self._busy, self._cpu, self._start = _busy(), cpu(family(pids)), time.monotonic()

    def figures(self, seconds: float | None = None) -> Figures:
        """Return what was used until now, in so many seconds if not just now; the processes must be there."""
        took, used, busy = time.monotonic() - self._start, cpu(family(self._pids)), _busy()
        servers = {root: cpu(family([root])) for root in self._servers}
        server = sum(now - self._servers[root] for root, now in servers.items() if now)
        mb = sum(peak(pid) for pid in family(self._pids))
        return Figures(seconds or took, used - self._cpu, server, (busy - self._busy) / took, mb)


def cpu(pids: Iterable[int]) -> float:
    """Return the CPU seconds that these have used, with those of their children that have ended."""
    return sum(sum(map(int, _stat(pid)[1][11:15])) for pid in pids) / TICKS


def family(pids: Iterable[int]) -> list[int]:
    """Return these processes and all that descend from them."""
    children = defaultdict(list)
    for pid in _pids():
        children[int(_stat(pid)[1][1])].append(pid)
    found = list(pids)
    for pid in found:  # which grows meanwhile
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
    """Return a process's name and its fields from the third on (proc(5)); zeros when it has gone."""
    with suppress(OSError):
        before, _, after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        return before.partition("(")[2], after.split()
    return "", ["0"] * 15


def _busy() -> float:
    """Return the CPU seconds that all cores have worked: user, nice, system, irq, softirq."""
    user, nice, system, _idle, _wait, irq, soft = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + soft) / TICKS


def peak(pid: int) -> float:
    """Return the most memory in MB that a process has had at once."""
    with suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0

"""What the parts of a delivery cost: the same pass with one of them left out."""

import os
import socket
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import click

from guestbook.outbound import recorder, sender
from guestbook.transport import tcp_connect
from scripts.benchmarks import drain, report, sink
from scripts.benchmarks.drain import Run
from scripts.benchmarks.usage import Figures

VARIABLE = "BENCH_WITHOUT"  # by which a worker learns what to leave out
COLUMNS = ("left out", "per second", "CPU ms each", "what it costs", "of the CPU")
NOTHING, LOG = "nothing", "the attempt log"


@click.command()
@click.option("--count", default=5000, show_default=True, help="Deliveries to drain.")
@click.option("--webhooks", default=8, show_default=True, help="Receivers that share them.")
@click.option("--rounds", default=5, show_default=True, help="Rounds, interleaved.")
@click.option("--concurrency", default=32, show_default=True, help="Threads of the pass.")
@click.option("--database", "server", help="URL of a server to use instead of SQLite.")
def parts(count: int, webhooks: int, rounds: int, concurrency: int, server: str | None) -> None:
    """Drain deliveries with all of the pass, and with the attempt log, the guard, … left out in turn."""
    count -= count % webhooks
    results: dict[str, list[Figures]] = defaultdict(list)
    report.heading(more={"deliveries": f"{count:,} to {webhooks} webhooks, medians of {rounds} rounds"})
    with sink.running() as (port, received):
        run = Run(count, webhooks, concurrency, server, port, received, silent=0)
        for _ in range(rounds):
            for name in (NOTHING, *PARTS):
                with _without(name):
                    results[name].append(drain.passes(run, 1, 0, silent=False, logged=name != LOG))
    report.table(COLUMNS, _rows(results, count))


def leave_out(name: str) -> None:
    """Replace a part of the guestbook, in this process, by one that does nothing."""
    if name:
        where, what, instead = PARTS[name]
        setattr(where, what, instead)


@contextmanager
def _without(name: str) -> Iterator[None]:
    os.environ[VARIABLE] = "" if name == NOTHING else name
    try:
        yield
    finally:
        del os.environ[VARIABLE]


def _rows(results: dict[str, list[Figures]], count: int) -> Iterator[list[report.Cell]]:
    seconds = {name: median(one.seconds for one in some) for name, some in results.items()}
    cpu = {name: median(one.cpu for one in some) for name, some in results.items()}
    for name in results:
        cost, of_cpu = 1 - seconds[name] / seconds[NOTHING], 1 - cpu[name] / cpu[NOTHING]
        shares = ["", ""] if name == NOTHING else [f"{cost:.0%}", f"{of_cpu:.0%}"]
        yield [name, round(count / seconds[name]), cpu[name] / count * 1000, *shares]


class _Plain(socket.socket):
    """A socket whose time-out is for ever that of its first attempt."""

    def reach(self, address: Any, seconds: float) -> None:
        self.settimeout(seconds)
        self.connect(address)


PARTS: dict[str, tuple[Any, str, Any]] = {  # where it is, and what stands in for it
    LOG: (recorder, "_record_attempts", lambda _connection, _kept: None),
    "the guard": (tcp_connect, "_judge", lambda _attempt, _address: None),
    "the budget": (tcp_connect, "BudgetSocket", _Plain),
    "the signatures": (
        sender.Sender,
        "_signatures",
        lambda *_: {"webhook-signature": "v1," + "A" * 44, "X-Hub-Signature-256": "sha256=" + "0" * 64},
    ),
}

"""One measurement of ours: a bare client, or passes that drain a new book together."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
from sqlalchemy import make_url

from guestbook.lib import clock
from scripts.benchmarks.support import temp_book, worker_processes
from scripts.benchmarks.support.process_usage import Figures, Meter

PATIENCE = 120  # seconds for deliveries that are looked for


@dataclass(frozen=True)
class Run:
    """What was asked for, and the receivers of this run."""

    count: int
    webhooks: int
    concurrency: int
    server: str | None
    port: int  # of the receiver that answers
    received: Any  # the number of its requests
    silent: int  # port of the one that never answers


def client(run: Run, kind: str) -> Figures:
    """Let a bare client send as many requests."""
    before = run.received.value
    with worker_processes.ready([kind, run.port, run.count], [{}]) as processes:
        meter = Meter([process.pid for process in processes])
        worker_processes.go(processes)
        worker_processes.hear(processes, "done")
        figures = meter.figures()
    check(run.received.value - before, run.count, "received")
    return figures


def passes(run: Run, number: int, hanging: int, *, silent: bool) -> Figures:
    """Let so many passes drain a new book; the webhooks that would hang are there or are not."""
    answering = run.webhooks - hanging
    wanted = run.count // run.webhooks * answering
    before = run.received.value
    with temp_book.fresh(run.server) as app:
        temp_book.add_webhooks([run.port] * answering + [run.silent] * hanging * silent)
        temp_book.fill(app, run.count // run.webhooks)
        with worker_processes.ready(
            ["deliver", run.concurrency, 0], temp_book.places(app, number)
        ) as processes:
            figures = _drained(run, processes, wanted if silent else None)
        check(temp_book.processed()[0], wanted, "on record")
    check(run.received.value - before, wanted, "received")
    return figures


def _drained(run: Run, processes: list[worker_processes.Process], wait_for: int | None) -> Figures:
    """Measure until the passes end, or until so many deliveries have been answered and are on record."""
    servers = [make_url(run.server).get_backend_name()] if run.server else []
    meter, began = Meter([process.pid for process in processes], servers), clock.now()
    start = run.received.value
    worker_processes.go(processes)
    if wait_for is None:
        worker_processes.hear(processes, "done")
        return meter.figures()
    until(lambda: run.received.value - start >= wait_for)
    until(lambda: temp_book.processed()[0] >= wait_for)
    last = temp_book.processed()[1]
    return meter.figures((last - began).total_seconds() if last else None)


def until(done: Callable[[], bool], who: str = "The work") -> None:
    """Wait until somebody is through."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise click.ClickException(f"{who} was not through within {PATIENCE} seconds.")
        time.sleep(0.01)


def check(found: int, wanted: int, what: str) -> None:
    """End the bench unless each delivery is there once."""
    if found != wanted:
        raise click.ClickException(f"{found} deliveries are {what} where {wanted} were to be, once each.")

"""One measurement of ours: a bare client, or passes that drain a new book together."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine

from guestbook.storage.database import db
from scripts.benchmarks.support import arrivals, processes, temp_book, waiting, worker_main
from scripts.benchmarks.support.delivery_run import Run
from scripts.benchmarks.support.process_usage import Meter, Usage
from scripts.benchmarks.support.processes import Environ

WORKER = (sys.executable, "-m", "scripts.benchmarks.support.worker_main")


def client(run: Run, kind: str) -> Usage:
    """Measure a bare client that sends as many requests."""
    run.receiver.reset()
    command = (*WORKER, kind, str(run.port), str(run.count))
    with (
        tempfile.TemporaryDirectory() as folder,
        processes.workers(kind, [command], [{}], Path(folder), 1) as (pids, lock),
    ):
        meter = Meter(pids, receiver=run.receiver.pid)
        lock.close()
        waiting.until(lambda: run.receiver.count >= run.count, kind, every=0.001)
        usage = meter.usage()
    arrivals.check(run.receiver.memories()[0], worker_main.arrivals(run.count))
    return usage


def passes(run: Run, number: int, *, silent: bool) -> Usage:
    """Measure so many passes that drain a new book, with the webhooks that hang or without them."""
    with run.book(silent=silent) as app:
        return _drained(run, temp_book.environs(app, number), [db.engine])


def passes_apart(run: Run, number: int) -> Usage:
    """Measure so many passes, each with a new book of its own, so that they share nothing but the machine."""
    with run.books(number) as apps:
        engines = []
        for app in apps:
            with app.app_context():
                engines.append(db.engine)
        return _drained(run, [app.config["ENVIRON"] for app in apps], engines)


def _drained(run: Run, environs: Sequence[Environ], engines: Sequence[Engine]) -> Usage:
    commands = [(*WORKER, "deliver", str(run.concurrency), "0")] * len(environs)
    with (
        tempfile.TemporaryDirectory() as folder,
        processes.workers("A pass", commands, environs, Path(folder), len(environs)) as (pids, lock),
    ):
        return run.usage_until_recorded(pids, lock, engines, run.servers)

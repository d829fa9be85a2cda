"""One measurement of ours: a bare client, or passes that drain a new book together."""

from guestbook.lib import clock
from guestbook.storage.database import db
from scripts.benchmarks.support import delivery_run, processes, temp_book
from scripts.benchmarks.support.delivery_run import Run
from scripts.benchmarks.support.process_usage import Meter, Usage


def client(run: Run, kind: str) -> Usage:
    """Measure a bare client that sends as many requests."""
    run.receiver.reset()
    with processes.workers([kind, run.port, run.count], [{}]) as workers:
        meter = Meter(workers.pids)
        workers.start()
        workers.wait()
        usage = meter.usage()
    delivery_run.check(run.receiver.count, run.count, "received")
    return usage


def passes(run: Run, number: int, *, silent: bool) -> Usage:
    """Measure so many passes that drain a new book, with the webhooks that hang or without them."""
    with (
        run.book(silent=silent) as app,
        processes.workers(["deliver", run.concurrency, 0], temp_book.environs(app, number)) as workers,
    ):
        meter, began = Meter(workers.pids, run.servers), clock.now()
        workers.start()
        if silent:
            return run.usage_until_recorded(meter, began, db.engine, "A pass")
        workers.wait()
        return meter.usage()

"""honker, a queue in SQLite.

Tuned: a process claims 64 tasks in one transaction and acknowledges them in another, while honker's own
iterator takes two for each task; eight threads work on them. It commits with synchronous NORMAL, which it
sets itself: a loss of power may bring back tasks that were done, and they are sent again.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import honker

from scripts.benchmarks.support import start_line
from scripts.benchmarks.support.peers import job, record

SETUP = f"{job.THREADS} threads each, SQLite"
SERVERS = ()
BATCH = max(1, min(64, int(job.setting("COUNT") or 0) // job.THREADS))  # leaves some for others
POLL = 0.01  # seconds, while its queue is empty


def fill() -> None:
    """Put all deliveries into the queue."""
    database, queue = _open()
    with database.transaction() as transaction:
        for one in job.deliveries():
            queue.enqueue(one, tx=transaction)


def work() -> None:
    """Work until killed."""
    _, queue = _open()
    worker, deliver = str(time.time_ns()), job.task(record.Sqlite())
    with ThreadPoolExecutor(job.THREADS) as threads:
        while True:
            jobs = queue.claim_batch(worker, BATCH)
            list(threads.map(lambda one: deliver(*one.payload), jobs))  # raises what a task raised
            if not queue.ack_batch([one.id for one in jobs], worker):
                time.sleep(POLL)


def commands(processes: int) -> list[list[str]]:
    """Return the commands of so many workers."""
    return [[sys.executable, "-c", f"from {__name__} import work; work()"]] * processes


def _open() -> tuple[honker.Database, honker.Queue]:
    database = honker.open(str(start_line.folder() / "queue.db"))
    return database, database.queue("deliver")

"""huey on SQLite.

Tuned: eight threads (two are slower, for each waits for the disk twice); no results and no periodic tasks;
polls a hundred times as often as its default; synchronous FULL as ours. Worker processes instead of threads
are slower, for they cannot commit together. A task is out of its queue before it runs: a kill loses it.
"""

import sys

from huey import SqliteHuey

from scripts.benchmarks.support import start_line
from scripts.benchmarks.support.peers import job, record

SETUP = f"{job.THREADS} threads each, SQLite"
SERVERS = ()

keep = record.Sqlite()
file = str(start_line.folder() / "queue.db") if job.setting("FOLDER") else ":memory:"
queue = SqliteHuey("bench", filename=file, results=False, fsync=True, timeout=30)
deliver = queue.task(name="deliver")(job.task(keep))


def fill() -> None:
    """Put all deliveries into the queue."""
    queue.storage._fsync = False  # filling is not measured
    for one in job.deliveries():
        deliver(*one)


def commands(processes: int) -> list[list[str]]:
    """Return the commands of so many workers."""
    consumer = [sys.executable, "-m", "huey.bin.huey_consumer", f"{__name__}.queue", "--quiet"]
    options = ["--no-periodic", "--worker-type=thread", f"--workers={job.THREADS}"]
    return [[*consumer, *options, "--delay=0.001", "--max-delay=0.01"]] * processes

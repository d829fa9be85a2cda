"""procrastinate on PostgreSQL.

Tuned: eight jobs at once in threads; jobs that succeed are deleted, which saves a row's life in an index;
rows are recorded in the same database by a connection for each thread.
"""

import sys

import procrastinate

from scripts.benchmarks.support.peers import job, record

SETUP = f"{job.THREADS} threads each, PostgreSQL"
SERVERS = ("postgresql",)

keep = record.Postgresql()
connector = procrastinate.PsycopgConnector(conninfo=job.setting("POSTGRESQL"), max_size=job.THREADS + 2)
queue = procrastinate.App(connector=connector)
deliver = queue.task(name="deliver")(job.task(keep))


def fill() -> None:
    """Put all deliveries into the queue."""
    with queue.open():
        queue.schema_manager.apply_schema()
        tasks = ({"delivery_id": one, "url": url, "body": body} for one, url, body in job.deliveries())
        deliver.batch_defer(*tasks)


def commands(processes: int) -> list[list[str]]:
    """Return the commands of so many workers."""
    worker = [sys.executable, "-m", "procrastinate", "--log-level=error", f"--app={__name__}.queue", "worker"]
    return [[*worker, f"--concurrency={job.THREADS}", "--delete-jobs=successful"]] * processes

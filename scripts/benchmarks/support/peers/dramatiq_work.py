"""What dramatiq does alike on RabbitMQ and on Redis: its task, how its queue is filled, and its workers."""

import sys
from typing import Any

import dramatiq

from scripts.benchmarks.support.peers import job, record

SETUP = f"{job.THREADS} threads each, SQLite"


def task(broker: dramatiq.Broker, queue_name: str) -> Any:
    """Register the task with a broker; the rows are recorded in SQLite."""
    return dramatiq.actor(
        job.task(record.Sqlite()), actor_name="deliver", queue_name=queue_name, broker=broker
    )


def fill(deliver: Any) -> None:
    """Put all deliveries into the queue."""
    for one in job.deliveries():
        deliver.send(*one)


def commands(module: str, processes: int) -> list[list[str]]:
    """Return the commands of so many workers of the broker `queue` of that module."""
    worker = [sys.executable, "-m", "dramatiq", f"{module}:queue", "--skip-logging"]
    return [[*worker, f"--processes={processes}", f"--threads={job.THREADS}"]]

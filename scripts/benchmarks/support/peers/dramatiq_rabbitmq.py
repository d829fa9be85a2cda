"""dramatiq on RabbitMQ.

Tuned: eight threads, its own default; none of its middleware, not even retries. Durable by its nature: a
durable queue, persistent messages, acknowledged when the task is done.
"""

import sys

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from scripts.benchmarks.support.peers import job, record

SETUP = f"{job.THREADS} threads each, SQLite"
SERVERS = ("rabbitmq",)

keep = record.Sqlite()
queue = RabbitmqBroker(url=job.setting("RABBITMQ"), middleware=[])
deliver = dramatiq.actor(
    job.task(keep), actor_name="deliver", queue_name=job.setting("QUEUE") or "bench", broker=queue
)


def fill() -> None:
    """Put all deliveries into the queue."""
    for one in job.deliveries():
        deliver.send(*one)


def commands(processes: int) -> list[list[str]]:
    """Return the commands of so many workers."""
    worker = [sys.executable, "-m", "dramatiq", f"{__name__}:queue", "--skip-logging"]
    return [[*worker, f"--processes={processes}", f"--threads={job.THREADS}"]]

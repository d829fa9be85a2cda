"""dramatiq on Redis.

Tuned: eight threads, as on RabbitMQ; none of its middleware, not even retries. A message stays in Redis until
its task is done, but Redis writes it to disk only with `appendonly yes`: without that a crash of Redis loses
it.
"""

import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from scripts.benchmarks.support.peers import job, record

SETUP = f"{job.THREADS} threads each, SQLite"
SERVERS = ("redis",)

keep = record.Sqlite()
queue = RedisBroker(url=job.setting("REDIS"), middleware=[], namespace=job.setting("QUEUE") or "bench")
deliver = dramatiq.actor(job.task(keep), actor_name="deliver", queue_name="deliver", broker=queue)


def fill() -> None:
    """Put all deliveries into the queue."""
    for one in job.deliveries():
        deliver.send(*one)


def commands(processes: int) -> list[list[str]]:
    """Return the commands of so many workers."""
    worker = [sys.executable, "-m", "dramatiq", f"{__name__}:queue", "--skip-logging"]
    return [[*worker, f"--processes={processes}", f"--threads={job.THREADS}"]]

"""Celery on RabbitMQ.

Tuned: the pool of threads (two prefork processes are slower, for each commits alone); eight threads that
prefetch 64 tasks each; no results, events, gossip, mingling, heartbeats or remote control. Durable: a
durable queue, persistent messages, acknowledged late.
"""

import sys

from celery import Celery

from scripts.benchmarks.support.peers import job, record

SETUP = f"{job.THREADS} threads each, SQLite"
SERVERS = ("rabbitmq",)
PREFETCH = max(1, min(64, int(job.setting("COUNT") or 0) // (8 * job.THREADS)))  # leaves some for others

keep = record.Sqlite()
queue = Celery("bench", broker=job.setting("RABBITMQ"))
queue.conf.update(
    task_default_queue=job.setting("QUEUE"),
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=PREFETCH,
    worker_disable_rate_limits=True,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_heartbeat=0,
)
deliver = queue.task(name="deliver")(job.task(keep))


def fill() -> None:
    """Put all deliveries into the queue."""
    with queue.producer_or_acquire() as producer:
        for one in job.deliveries():
            deliver.apply_async(one, producer=producer)


def commands(processes: int) -> list[list[str]]:
    """Return the commands of so many workers."""
    options = "--loglevel=ERROR --without-gossip --without-mingle --without-heartbeat --pool=threads"
    worker = [
        sys.executable,
        "-m",
        "celery",
        "--quiet",
        f"--app={__name__}:queue",
        "worker",
        *options.split(),
    ]
    worker.append(f"--concurrency={job.THREADS}")
    return [[*worker, f"--hostname={number}@%h"] for number in range(processes)]

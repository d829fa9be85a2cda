"""Deliveries a second through RabbitMQ: a relay, and one or several of Celery's workers."""

import importlib.util
import sys
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import click
from sqlalchemy import make_url

from guestbook.settings import installation
from guestbook.storage.database import db
from scripts.benchmarks.support import (
    delivery_run,
    drain,
    peer_queues,
    process_usage,
    processes,
    rabbitmq_vhost,
    report,
    temp_book,
    waiting,
)
from scripts.benchmarks.support.delivery_run import Run
from scripts.benchmarks.support.process_usage import Usage

QUEUE = "guestbook.deliveries"
RELAY = (*drain.WORKER, "relay", "0", "0")
CELERY = (sys.executable, "-m", "celery", "--quiet", "--app", "guestbook.worker", "worker")
OPTIONS = ("--loglevel=ERROR", "--without-gossip", "--without-mingle", "--pool=threads")


@click.command()
@delivery_run.options
@click.option(
    "--workers",
    multiple=True,
    default=["1,2,4"],
    callback=delivery_run.numbers,
    help="Workers at once; 1,2 tries both.",
)
@click.option(
    "--database",
    "server",
    default=peer_queues.POSTGRESQL,
    show_default=True,
    callback=temp_book.checked_server,
    help="Or `sqlite`.",
)
@click.option("--rabbitmq", default=peer_queues.RABBITMQ, show_default=True, help="The broker.")
def workers(run: Run, workers: list[int], rabbitmq: str) -> None:
    """Let a relay publish queued deliveries, and workers send and record them, each exactly once.

    The clock runs from the relay's first look to the last recorded row. All have started by then.
    """
    if not importlib.util.find_spec("amqp"):  # it comes with Celery
        command = installation.install_command("celery")
        raise click.ClickException(f"This bench needs the extra celery. Install it with: {command}")
    results: dict[int, list[Usage]] = defaultdict(list)
    run.heading({"threads of a worker": str(run.concurrency)})
    with run.receiving():
        for _ in range(run.rounds):
            for number in workers:
                with rabbitmq_vhost.vhost(rabbitmq) as broker:
                    results[number].append(_measure(run, number, broker))
    seconds = {number: process_usage.medians(some).seconds for number, some in results.items()}
    ratios = {number: report.ratio(seconds[workers[0]], some) for number, some in seconds.items()}
    rows = [
        [str(number), *process_usage.cells(some, run.count), ratios[number]]
        for number, some in results.items()
    ]
    report.table(["workers", *process_usage.COLUMNS, "ratio"], rows)


def _measure(run: Run, number: int, broker: str) -> Usage:
    with ExitStack() as stack:
        app = stack.enter_context(run.book(BROKER_URL=broker))
        relay, *environs = temp_book.environs(app, number + 1)
        started = []
        for at, environ in enumerate(environs):
            options = (*OPTIONS, f"--concurrency={run.concurrency}", f"--hostname={at}@bench")
            started.append(stack.enter_context(processes.running((*CELERY, *options), environ)))
        waiting.until(lambda: _consumers(broker) >= number, "A worker")
        folder = Path(app.config["ENVIRON"]["GUESTBOOK_DATA_DIR"])
        waits = processes.workers("The relay", [RELAY], [relay], folder, 1)
        relay_pids, lock = stack.enter_context(waits)
        pids = [*relay_pids, *(process.pid for process in started)]
        return run.usage_until_recorded(pids, lock, [db.engine], ["rabbitmq", *run.servers])


def _consumers(broker: str) -> int:
    """Return how many workers wait at the queue."""
    import amqp

    parts = make_url(broker)
    host = f"{parts.host}:{parts.port or 5672}"
    login = {"userid": parts.username or "guest", "password": str(parts.password or "guest")}
    with amqp.Connection(host, virtual_host=parts.database or "/", **login) as connection:
        try:
            return int(connection.channel().queue_declare(QUEUE, passive=True).consumer_count)
        except amqp.exceptions.NotFound:
            return 0  # the first worker makes it

"""Deliveries a second by way of RabbitMQ: a relay, and one or several of Celery's workers."""

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import amqp
import click
from sqlalchemy import create_engine, make_url

from guestbook.lib import clock
from scripts.benchmarks.deliver import numbers
from scripts.benchmarks.support import drain, fast_receiver, peer_queues, rabbitmq_vhost, report, temp_book
from scripts.benchmarks.support.process_usage import Figures, Meter

COLUMNS = ("workers", "per second", "ratio", "CPU ms each", "servers' CPU ms", "peak MB", "busy cores")
QUEUE = "guestbook.deliveries"
QUIET = ("--quiet", "--loglevel=ERROR")
ALONE = ("--without-gossip", "--without-mingle", "--pool=threads")

Process = subprocess.Popen[bytes]


@click.command()
@click.option("--count", default=5000, show_default=True, help="Deliveries to send.")
@click.option("--webhooks", default=8, show_default=True, help="Receivers that share them.")
@click.option("--rounds", default=3, show_default=True, help="Rounds, interleaved.")
@click.option("--concurrency", default=32, show_default=True, help="Threads of each worker.")
@click.option("--delay", default=0.0, show_default=True, help="Seconds that a receiver takes to answer.")
@click.option(
    "--workers", multiple=True, default=["1,2,4"], callback=numbers, help="Workers at once; 1,2 tries both."
)
@click.option("--database", "server", default=peer_queues.POSTGRESQL, show_default=True, help="Or `sqlite`.")
@click.option("--rabbitmq", default=peer_queues.RABBITMQ, show_default=True, help="The broker.")
def workers(
    count: int,
    webhooks: int,
    rounds: int,
    concurrency: int,
    delay: float,
    workers: list[int],
    server: str,
    rabbitmq: str,
) -> None:
    """Let a relay publish deliveries that wait, and workers send and record them, each exactly once.

    The clock runs from the relay's start, which takes about a second, to the last recorded row.
    """
    url = None if server == "sqlite" else server
    count -= count % webhooks
    results: dict[int, list[Figures]] = defaultdict(list)
    _heading(url, count, webhooks, rounds, concurrency)
    with fast_receiver.running(delay) as (port, received):
        for _ in range(rounds):
            for number in workers:
                with (
                    rabbitmq_vhost.vhost(rabbitmq) as broker,
                    temp_book.fresh(url, BROKER_URL=broker) as app,
                ):
                    temp_book.add_webhooks([port] * webhooks)
                    temp_book.fill(app, count // webhooks)
                    before = received.value
                    places = temp_book.places(app, number + 1)
                    results[number].append(_measure(places, broker, count, concurrency, url))
                drain.check(received.value - before, count, "received")
    first = median(one.seconds for one in results[workers[0]])
    report.table(COLUMNS, [_row(number, some, count, first) for number, some in results.items()])


def _heading(url: str | None, count: int, webhooks: int, rounds: int, concurrency: int) -> None:
    engine = create_engine(url) if url else None
    more = f"{count:,} to {webhooks} webhooks, {concurrency} threads a worker, medians of {rounds} rounds"
    report.heading(engine, {"deliveries": more})
    if engine:
        engine.dispose()


def _measure(
    places: Sequence[Mapping[str, str]], broker: str, count: int, concurrency: int, url: str | None
) -> Figures:
    servers = ["rabbitmq", *([make_url(url).get_backend_name()] if url else [])]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_running(_worker(number, concurrency), place))
            for number, place in enumerate(places[1:])
        ]
        drain.until(lambda: _consumers(broker) >= len(processes))
        relay = [str(Path(sys.executable).with_name("flask")), "--app", "guestbook", "relay", "--stay"]
        began = clock.now()
        processes.append(stack.enter_context(_running([*relay, "--max-seconds", "600"], places[0])))
        meter = Meter([process.pid for process in processes], servers)
        drain.until(lambda: temp_book.processed()[0] >= count)
        last = temp_book.processed()[1]
        return meter.figures((last - began).total_seconds() if last else None)


def _worker(number: int, concurrency: int) -> list[str]:
    celery = [str(Path(sys.executable).with_name("celery")), QUIET[0], "--app", "guestbook.worker", "worker"]
    return [*celery, QUIET[1], *ALONE, f"--concurrency={concurrency}", f"--hostname={number}@bench"]


@contextmanager
def _running(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[Process]:
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen(command, env={**os.environ, **environ}, stdout=nowhere, stderr=nowhere)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _consumers(broker: str) -> int:
    """Return how many workers wait at the queue."""
    parts = make_url(broker)
    host = f"{parts.host}:{parts.port or 5672}"
    login = {"userid": parts.username or "guest", "password": str(parts.password or "guest")}
    with amqp.Connection(host, virtual_host=parts.database or "/", **login) as connection:
        try:
            return int(connection.channel().queue_declare(QUEUE, passive=True).consumer_count)
        except amqp.exceptions.NotFound:
            return 0  # the first worker makes it


def _row(number: int, some: Sequence[Figures], count: int, first: float) -> list[report.Cell]:
    seconds = median(one.seconds for one in some)
    cpu = median(one.cpu for one in some) / count * 1000
    server = median(one.server for one in some) / count * 1000
    peak, cores = round(median(one.mb for one in some)), f"{median(one.cores for one in some):.1f}"
    return [str(number), round(count / seconds), report.ratio(first, seconds), cpu, server, peak, cores]

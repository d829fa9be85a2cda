"""The time from signing to receipt with `cron --stay`, and the CPU of an idle pass."""

import statistics
import time

import click

from guestbook.storage.database import db
from scripts.benchmarks.support import process_usage, processes, receivers, report, temp_book
from scripts.benchmarks.support.receivers import Behaviour
from tests.support import factories

IDLE = 5.0  # seconds


@click.command()
@click.option("--count", default=60, show_default=True, help="Comments to sign.")
@click.option("--every", default=0.3, show_default=True, help="Seconds between two.")
@temp_book.server_option
def latency(count: int, every: float, server: str | None) -> None:
    """Sign comments beside a waiting pass; print how long until the receiver has them, and the idle cost."""
    with receivers.running(Behaviour(remembers=True)) as receiver, temp_book.fresh(server) as app:
        report.heading(db.engine)
        temp_book.add_webhooks(receiver.ports)
        with processes.running(processes.PASS, app.config["ENVIRON"]) as process:
            factories.sign(temp_book.MESSAGE)
            processes.until(lambda: receiver.count > 0, "The first delivery")
            before = process_usage.cpu([process.pid])
            time.sleep(IDLE)
            idle = (process_usage.cpu([process.pid]) - before) / IDLE
            signed: dict[str, float] = {}
            for _ in range(count):
                time.sleep(every)
                start = time.perf_counter()
                signed[factories.sign(temp_book.MESSAGE)] = start
                processes.until(lambda: receiver.count > len(signed), "A delivery", every=0.001)
        accepted = receiver.memories()[0].accepted
    times = [(accepted[comment] - start) * 1000 for comment, start in signed.items()]
    cuts = statistics.quantiles(times, n=10, method="inclusive")
    columns = ["", "median ms", "p90 ms", "idle, of a core"]
    report.table(columns, [["signed to received", statistics.median(times), cuts[-1], f"{idle:.1%}"]])

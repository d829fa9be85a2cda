"""What a hostile template, body or request costs the server, and what other visitors notice meanwhile."""

import contextvars
import re
import statistics
import threading
import time
from types import TracebackType
from typing import Self

import click
from flask import Flask

from guestbook.auth import login
from guestbook.storage.database import db, writing
from scripts.benchmarks import pages
from scripts.benchmarks.support import report, temp_book
from scripts.benchmarks.support import served_book as sites
from scripts.benchmarks.support.attacked_book import Victim
from scripts.benchmarks.support.hostile_bodies import BODY_BOMBS
from scripts.benchmarks.support.hostile_templates import BOMBS, Bomb

MOST_CPU = 1.0  # seconds
MOST_MB = 50.0  # above what the process had before
MOST_MS = 200.0  # that another visitor waits for the front page
PAUSE = 0.05  # seconds between two visits
COLUMNS = ["bomb", "answer", "s", "CPU s", "MB", "another's page, median ms", "worst ms", "too much"]


@click.command()
@click.option("--only", default="", help="Part of a bomb's name, or a regular expression.")
@click.option("--server", help="The URL of a database server, in place of SQLite.")
def hostile(only: str, server: str | None) -> None:
    """Throw each bomb at a served book: CPU and memory that it takes, and how long another's page takes.

    At most 1 s of CPU and 50 MB each, and another visitor's front page within 200 ms.
    """
    chosen = [bomb for bomb in [*BOMBS, *BODY_BOMBS] if re.search(only, bomb.name)]
    with temp_book.fresh(server) as app:
        report.heading(db.engine)
        with writing() as session:
            login.set_password(session, pages.PASSWORD)
        # In the app's context, which preparing needs, and out of any request's.
        report.table(COLUMNS, [contextvars.copy_context().run(_measured, app, bomb) for bomb in chosen])


def _measured(app: Flask, bomb: Bomb) -> list[report.Cell]:
    """Return the bomb's line; it is thrown at a new process, whose memory holds nothing of the last one."""
    click.echo(bomb.name, err=True)
    with sites.served(app) as (port, pid):
        victim = Victim(app, port, pid)
        throw = bomb.prepare(victim)
        db.session.remove()
        with victim.measured() as costs, Visitor(victim) as visitor:
            answer = throw()
        cpu = max(0.0, costs.cpu - victim.cpu_of_a_visit * len(visitor.times))
    median, worst = statistics.median(visitor.times), max(visitor.times)
    limits = {"CPU": (cpu, MOST_CPU), "memory": (costs.mb, MOST_MB), "wait": (worst, MOST_MS)}
    too_much = ", ".join(name for name, (value, most) in limits.items() if value > most)
    return [bomb.name, answer, costs.seconds, cpu, costs.mb, median, worst, too_much]


class Visitor:
    """Another visitor, who loads the front page all the while."""

    def __init__(self, victim: Victim) -> None:
        self.times: list[float] = []  # ms
        self._victim = victim
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._visit)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _visit(self) -> None:
        while not self.times or not self._over.wait(PAUSE):
            start = time.perf_counter()
            self._victim.visit()
            self.times.append((time.perf_counter() - start) * 1000)

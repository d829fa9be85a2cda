"""The costs of a hostile template, body or request for the server and for another visitor."""

import contextvars
import re
import statistics
import time
from collections.abc import Callable
from typing import Any

import click
from flask import Flask

from guestbook.storage.database import db
from scripts.benchmarks.support import processes, report, temp_book
from scripts.benchmarks.support.attacks import BODY_BOMBS, TEMPLATE_BOMBS, Throw, Victim
from scripts.benchmarks.support.traffic import repeating

MOST_CPU = 1.0  # seconds
MOST_MB = 50.0  # more than the process had before
MOST_MS = 200.0  # until another visitor has the front page
PAUSE = 0.05  # seconds between two visits
COLUMNS = ["bomb", "answer", "s", "CPU s", "MB", "visitor, median ms", "worst ms", "too much"]


@click.command()
@click.option("--only", default="", help="Part of a bomb's name, or a regular expression.")
@temp_book.server_option
def hostile(only: str, server: str | None) -> None:
    """Throw each bomb at a served book: how much CPU and memory it takes, and how long a visitor waits.

    At most 1 s of CPU and 50 MB each, and another visitor's front page within 200 ms.
    """
    bombs = (TEMPLATE_BOMBS | BODY_BOMBS).items()
    chosen = [(name, *bomb) for name, bomb in bombs if re.search(only, name)]
    with temp_book.fresh(server) as app:
        report.heading(db.engine)
        # With the app's context, which preparing needs, and outside any request's.
        report.table(COLUMNS, [contextvars.copy_context().run(_measured, app, *bomb) for bomb in chosen])


def _measured(app: Flask, name: str, prepare: Callable[..., Throw], *values: Any) -> list[report.Cell]:
    """Return the bomb's line, measured on a new process, whose memory holds nothing of the last one."""
    click.echo(name, err=True)
    with processes.served(app.config["ENVIRON"]) as (port, pid):
        victim, times = Victim(app, port, pid), []

        def visit() -> None:
            start = time.perf_counter()
            victim.visit()
            times.append((time.perf_counter() - start) * 1000)

        throw = prepare(victim, *values)
        db.session.remove()
        with repeating(visit, lambda: PAUSE):
            answer, seconds, cpu, mb = victim.costs_of(throw)
        cpu = max(0.0, cpu - victim.cpu_of_a_visit * len(times))
    limits = {"CPU": (cpu, MOST_CPU), "memory": (mb, MOST_MB), "wait": (max(times), MOST_MS)}
    too_much = ", ".join(limit for limit, (value, most) in limits.items() if value > most)
    waits = [statistics.median(times), max(times)]
    return [name, answer, seconds, cpu, mb, *waits, too_much]

"""How long the pages of a full book take: those of its visitors and those of its owner."""

import contextvars
import statistics

import click

from guestbook.storage.database import db
from scripts.benchmarks.support import large_book, report, temp_book, timed_queries
from scripts.benchmarks.support.timed_queries import Task

GOAL = 50.0  # ms, of the median


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Comments, each with a delivery.")
@click.option("--times", default=30, type=click.IntRange(1), show_default=True, help="Visits of each page.")
@temp_book.server_option
def pages(rows: int, times: int, server: str | None) -> None:
    """Open each page of a full book, and of its admin pages; the first minute fills it."""
    with temp_book.fresh(server) as app:
        large_book.fill(rows, app.config["GUESTBOOK"], message=temp_book.MESSAGE)
        tasks = timed_queries.pages(app)
        report.heading(db.engine, {"rows": f"{rows:,}", "each": f"median of {times}"})
        # Out of the app's context around us, so that each request has a session of its own, as in a server.
        lines = contextvars.Context().run(lambda: [_line(*one, times) for one in tasks.items()])
        report.table(["ms", "median", "p90", f"goal {GOAL:.0f} ms"], lines)


def _line(name: str, task: Task, times: int) -> list[report.Cell]:
    taken = sorted(timed_queries.repeat([task], times)[0])
    median, p90 = statistics.median(taken), taken[times * 9 // 10]
    return [name, median, p90, "SLOW" if median > GOAL else ""]

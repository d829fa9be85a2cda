"""How long the pages of a full book take, beside those of a small one: for its visitors and for its owner."""

import contextvars
import statistics
from contextlib import ExitStack

import click

from guestbook.storage.database import db
from scripts.benchmarks.support import large_book, report, temp_book, timed_queries
from scripts.benchmarks.support.timed_queries import Task

GOAL = 50.0  # ms, of the median
SMALL = 100  # comments of the book beside it


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Comments, each with a delivery.")
@click.option("--times", default=30, type=click.IntRange(1), show_default=True, help="Visits of each page.")
@temp_book.server_option
def pages(rows: int, times: int, server: str | None) -> None:
    """Open each page of a small book and of a full one in turn, and of their admin pages.

    The first minute fills the book.
    """
    with ExitStack() as stack:
        books = []
        for count in (SMALL, rows):
            app = stack.enter_context(temp_book.fresh(server))
            large_book.fill(count, app.config["GUESTBOOK"], message=temp_book.MESSAGE)
            books.append(timed_queries.pages(app))
        report.heading(db.engine, {"rows": f"{rows:,}", "each": f"median of {times}, the books in turn"})
        # Out of the apps' contexts around us, so that each request has a session of its own, as in a server.
        lines = contextvars.Context().run(
            lambda: [_line(name, [book[name] for book in books], times) for name in books[0]]
        )
        columns = ["ms", f"{SMALL} rows", f"{rows:,} rows", "ratio", "p90", f"goal {GOAL:.0f} ms"]
        report.table(columns, lines)


def _line(name: str, tasks: list[Task], times: int) -> list[report.Cell]:
    small, large = (sorted(taken) for taken in timed_queries.repeat(tasks, times))
    base, median, p90 = statistics.median(small), statistics.median(large), large[times * 9 // 10]
    return [name, base, median, report.ratio(median, base), p90, "SLOW" if median > GOAL else ""]

"""How long work takes as the tables grow: the same in books of several sizes, in turn."""

import contextvars
import shutil
import statistics
import tempfile
from contextlib import ExitStack

import click

from guestbook.storage.database import db
from scripts.benchmarks.support import deliveries, large_book, report, temp_book, timed_queries
from scripts.benchmarks.support.timed_queries import Task

GOAL = 1.5  # times as long in the largest book as in the smallest, at most
BYTES = 2_000  # of a final row of each kind together, with the indexes
SMALLEST = 10  # rows; a smaller book would have no second page


@click.command()
@click.option(
    "--rows",
    multiple=True,
    default=["1000,10000,100000,1000000"],
    show_default=True,
    callback=deliveries.numbers,
    help="Sizes; up to 10000000.",
)
@click.option("--times", default=30, type=click.IntRange(1), show_default=True, help="Calls of each.")
@temp_book.server_option
def growth(rows: list[int], times: int, server: str | None) -> None:
    """Do the same in books with few rows and with many: pages, the API, a claim, a pass.

    A row is a comment, its delivery with an attempt, and an inbound event; so 10,000,000 of them are
    40,000,000 in the tables. They take 17 GB and about a quarter of an hour to be stored.
    """
    if min(rows) < SMALLEST:
        raise click.UsageError(f"--rows must be at least {SMALLEST}.")
    _check_room(rows, server)
    with ExitStack() as stack:
        books, sizes = [], []
        for count in sorted(rows):
            app = stack.enter_context(temp_book.fresh(server))
            large_book.fill(count, app.config["GUESTBOOK"])
            books.append(timed_queries.all_of(app))
            sizes.append(large_book.megabytes(db.engine))
        report.heading(db.engine, {"each": f"median of {times}, the books in turn"})
        # Out of the apps' contexts around us, so that each request has a session of its own, as in a server.
        lines = contextvars.Context().run(
            lambda: [line(name, [book[name] for book in books], times) for name in books[0]]
        )
        columns = ["ms", *(f"{count:,} rows" for count in sorted(rows)), "ratio", f"goal {GOAL} ×"]
        report.table(columns, [*lines, ["MB on disk", *sizes, "", ""]])


def _check_room(rows: list[int], server: str | None) -> None:
    folder = tempfile.gettempdir()
    wanted, free = sum(rows) * BYTES, shutil.disk_usage(folder).free
    if server is None and wanted > free:
        raise click.ClickException(f"{folder} has {free / 1e9:.0f} GB free of the {wanted / 1e9:.0f} needed.")


def line(name: str, tasks: list[Task], times: int) -> list[report.Cell]:
    """Do the same in each book in turn; return a line of the table."""
    click.echo(f"timing {name} …", err=True)
    medians = [statistics.median(taken) for taken in timed_queries.repeat(tasks, times)]
    grew = medians[-1] > GOAL * medians[0]
    return [name, *medians, report.ratio(medians[-1], medians[0]), "GROWS" if grew else ""]

"""How long questions take as the tables grow: each asked in books of several sizes, in turn."""

import contextvars
import shutil
import statistics
import tempfile
from contextlib import ExitStack

import click

from guestbook.storage.database import db
from scripts.benchmarks.support import bulk_insert, large_book, report, temp_book, timed_queries
from scripts.benchmarks.support.timed_queries import Question

WARM_UPS = 3
TIMES = 30
GOAL = 1.5  # times as long in the largest book as in the smallest, at most
BYTES = 2_000  # that a final row of each kind takes together, with the indexes
DEFAULT = "1000,10000,100000,1000000"


class Sizes(click.ParamType[list[int]]):
    """Whole numbers with commas between, the smallest first."""

    name = "sizes"

    def convert(
        self, value: str | list[int], param: click.Parameter | None, context: click.Context | None
    ) -> list[int]:
        """Read them; too small books would have no second page."""
        if isinstance(value, list):
            return value
        words = value.split(",")
        if not all(word.strip().isdecimal() and int(word) >= 10 for word in words):
            self.fail(f"{value!r} is no list of numbers such as {DEFAULT}, each at least 10.", param, context)
        return sorted({int(word) for word in words})


@click.command()
@click.option("--rows", default=DEFAULT, type=Sizes(), show_default=True, help="Sizes; up to 10000000.")
@click.option("--times", default=TIMES, type=click.IntRange(1), show_default=True, help="Calls of each.")
@click.option("--database", "server", help="URL of a server to use instead of SQLite.")
def growth(rows: list[int], times: int, server: str | None) -> None:
    """Ask the same of books with few rows and with many: pages, the API, a claim, a pass.

    A row is a comment, its delivery with an attempt, and an inbound event; so 10,000,000 of them are
    40,000,000 in the tables, take 17 GB and some minutes to be stored.
    """
    _check_room(rows, server)
    with ExitStack() as shelf:
        asked, sizes = [], []
        for count in rows:
            app = shelf.enter_context(temp_book.fresh(server))
            large_book.fill(count, app.config["GUESTBOOK"])
            asked.append(timed_queries.of(app))
            sizes.append(bulk_insert.size(db.engine) / 1e6)
        report.heading(db.engine, {"each": f"median of {times}, the books in turn"})
        # Out of the apps' contexts around us, so that each request has a session of its own, as in a server.
        lines = contextvars.Context().run(_lines, asked, times)
        columns = ["ms", *(f"{count:,} rows" for count in rows), "ratio", f"goal {GOAL} ×"]
        report.table(columns, [*lines, ["MB on disk", *sizes, "", ""]])


def _check_room(rows: list[int], server: str | None) -> None:
    folder = tempfile.gettempdir()
    wanted, free = sum(rows) * BYTES, shutil.disk_usage(folder).free
    if server is None and wanted > free:
        raise click.ClickException(f"{folder} has {free / 1e9:.0f} GB free of the {wanted / 1e9:.0f} needed.")


def _lines(asked: list[dict[str, Question]], times: int) -> list[list[report.Cell]]:
    return [_line(name, [each[name] for each in asked], times) for name in asked[0]]


def _line(name: str, asked: list[Question], times: int) -> list[report.Cell]:
    """Ask each book in turn; return a line of the table."""
    click.echo(f"asking for {name} …", err=True)
    rounds = [[ask() for ask in asked] for _ in range(WARM_UPS + times)][WARM_UPS:]
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    grew = medians[-1] > GOAL * medians[0]
    return [name, *medians, report.ratio(medians[-1], medians[0]), "GROWS" if grew else ""]

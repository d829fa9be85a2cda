"""The web server's answers beside those of a bare Flask view, and signing while a pass runs at full speed."""

import time
from urllib.parse import urlencode

import click
import requests

from guestbook.storage.database import db
from scripts.benchmarks.support import (
    answer_rates,
    beside_bare,
    bursts,
    processes,
    receivers,
    report,
    temp_book,
    visitor,
)
from scripts.benchmarks.support.bursts import Burst, Request
from scripts.benchmarks.support.receivers import Behaviour

WEBHOOKS = 8
WEBHOOKS_OF_ANSWERS = 3
RATE = 40.0  # comments a second of one poster
ACCEPTED = 303
HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


@click.command()
@click.option(
    "--backlog", default=120_000, show_default=True, help="Deliveries that the pass has to drain; 0: none."
)
@click.option("--posts", default=200, show_default=True, help="Comments of one poster at 40 a second.")
@click.option("--at-once", default=8, show_default=True, help="Posters at once, as fast as they can.")
@click.option("--answers", default=1000, show_default=True, help="Requests of each kind in a round.")
@click.option("--rounds", default=5, type=click.IntRange(1), show_default=True)
@click.option(
    "--server",
    "servers",
    multiple=True,
    type=click.Choice(list(beside_bare.COMMANDS)),
    help="A web server, instead of all that are installed.",
)
def web(backlog: int, posts: int, at_once: int, answers: int, rounds: int, servers: tuple[str, ...]) -> None:
    """Ask for pages and post comments, beside a bare Flask view on the same web server.

    Then post comments beside a pass at full speed: how long visitors wait, and whether any post fails.
    """
    with temp_book.fresh() as app:
        report.heading(db.engine)
        temp_book.add_webhooks([9] * WEBHOOKS_OF_ANSWERS)
        lines = [
            line
            for server in servers or beside_bare.installed()
            for line in answer_rates.rows(server, app.config["ENVIRON"], answers, rounds, at_once)
        ]
    report.table(["", *answer_rates.COLUMNS], lines)
    if backlog:
        _beside_pass(backlog, posts, at_once)


def _beside_pass(backlog: int, posts: int, at_once: int) -> None:
    with receivers.running(Behaviour()) as receiver, temp_book.fresh() as app:
        temp_book.add_webhooks(receiver.ports * WEBHOOKS)
        temp_book.fill(app, backlog // WEBHOOKS)
        with processes.served(app.config["ENVIRON"]) as (port, _):
            rows = _rows("alone", port, posts, at_once)
            with processes.draining(app.config["ENVIRON"]):
                rows += _rows("beside a pass", port, posts, at_once)
                sent = receiver.count
    report.table(["", "posts", "p50 ms", "p99 ms", "failed"], rows)
    click.echo(f"The pass sent {sent:,} meanwhile.{'' if sent < backlog else ' IT HAD NOTHING MORE TO DO.'}")


def _rows(where: str, port: int, posts: int, at_once: int) -> list[list[report.Cell]]:
    one = _sign(port, posts, 1, RATE)
    many = _sign(port, posts // 4 * at_once, at_once)
    names = {f"{where}, one poster at {RATE:.0f}/s": one, f"{where}, {at_once} at once": many}
    return [
        [*report.percentiles(name, burst.times), len(burst.times) - burst.statuses[ACCEPTED]]
        for name, burst in names.items()
    ]


def _sign(port: int, count: int, at_once: int, rate: float = 0.0) -> Burst:
    page = requests.get(f"http://127.0.0.1:{port}/", timeout=30).text
    token, started = visitor.hidden_field(page, "token"), time.time()

    def make(number: int) -> Request:
        message = f"{temp_book.MESSAGE} {started} {number}"
        form = {"token": token, "name": f"Ada {number % at_once}", "message": message}
        return "/comments", urlencode(form).encode(), HEADERS

    return bursts.post(port, make, count, at_once=at_once, rate=rate)

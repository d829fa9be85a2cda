"""Signing and reading on a server with one process and no threads, whose requests do the work of cron."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import click
import requests
from flask import Flask

from guestbook.storage.database import db
from scripts.benchmarks.support import (
    bursts,
    process_usage,
    processes,
    receivers,
    report,
    temp_book,
    visitor,
    waiting,
)
from scripts.benchmarks.support.bursts import Request
from scripts.benchmarks.support.receivers import Behaviour

HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}
HANGS = Behaviour("hangs", delay=float("inf"))
SERVER = """
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server
import guestbook
WSGIRequestHandler.log_message = lambda *_: None
make_server("127.0.0.1", int(sys.argv[1]), guestbook.create_app()).serve_forever()
"""


@click.command("without-cron")
@click.option("--posts", default=300, show_default=True, help="Comments to sign.")
@click.option("--rate", default=2.0, show_default=True, help="Comments a second.")
@click.option("--pages", default=200, show_default=True, help="Page views whose CPU is measured.")
def without_cron(posts: int, rate: float, pages: int) -> None:
    """Sign beside a receiver that hangs, where requests send; print the waits and a page's CPU."""
    rows: list[list[report.Cell]] = []
    costs: list[list[report.Cell]] = []
    for sends in (False, True):
        name = "the ends of requests send" if sends else "nothing sends"
        with (
            receivers.running(HANGS) as receiver,
            temp_book.fresh(SEND_AFTER_REQUESTS=str(sends).lower()) as app,
        ):
            if sends:
                report.heading(db.engine)
            with _served(app) as (port, pid):
                costs.append([name, _cpu_of_a_page(port, pid, pages)])
                temp_book.add_webhooks(receiver.ports)
                burst = _sign(port, posts, rate)
                rows.append([*report.percentiles(name, burst.times), max(burst.times), receiver.count])
    report.table(["signing", "posts", "p50 ms", "p99 ms", "longest ms", "attempts"], rows)
    report.table(["reading", "CPU ms a page"], costs)


@contextmanager
def _served(app: Flask) -> Iterator[tuple[int, int]]:
    port = processes.free_port()
    command = (sys.executable, "-c", SERVER, str(port))
    with processes.running(command, app.config["ENVIRON"]) as process:
        waiting.until(lambda: processes.listens(port), "The server")
        yield port, process.pid


def _cpu_of_a_page(port: int, pid: int, pages: int) -> float:
    """Return the CPU of a page while nothing is due, in ms."""
    address = f"http://127.0.0.1:{port}/"
    requests.get(address, timeout=30)
    before = process_usage.cpu([pid])
    for _ in range(pages):
        requests.get(address, timeout=30)
    return (process_usage.cpu([pid]) - before) / pages * 1000


def _sign(port: int, count: int, rate: float) -> bursts.Burst:
    page = requests.get(f"http://127.0.0.1:{port}/", timeout=30).text
    token, started = visitor.hidden_field(page, "token"), time.time()

    def make(number: int) -> Request:
        message = f"{temp_book.MESSAGE} {started} {number}"
        form = {"token": token, "name": f"Ada {number}", "message": message}
        return "/comments", urlencode(form).encode(), HEADERS

    return bursts.post(port, make, count, rate=rate, at_once=4)

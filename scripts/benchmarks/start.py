"""The CPU and memory of an idle cron pass and of a page by CGI, beside those of a bare import of Flask."""

import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from guestbook.storage.database import db
from scripts.benchmarks.support import process_usage, report, temp_book
from tests.support import factories

CRON = ("-m", "flask", "--app", "guestbook", "cron")
PROGRAM = str(Path(sys.executable).with_name("guestbook"))
# As deploy/cgi/index.cgi, which has the request from its web server.
PAGE_BY_CGI = """
import gc, os
gc.disable()
os.environ |= {
    "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/",
    "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
}
from wsgiref.handlers import CGIHandler
from guestbook import create_app
CGIHandler().run(create_app())
"""
PAGE = "GET / by CGI"
COMMENTS_SHOWN = 20  # a page of them
COMMANDS = {
    "import flask, click": ("-c", "import flask, click"),
    "cron, nothing due": CRON,
    "guestbook cron, nothing due": (PROGRAM, "cron"),
    PAGE: ("-c", PAGE_BY_CGI),
    "cron, a whole pass": (*CRON, "-v"),  # nothing due either, but it imports what a sending one does
}
CPU_GOAL = 2.0  # times the bare import
PAGE_GOAL = 2.5  # the same for the page
MEMORY_GOAL = 48.0  # MB


@click.command()
@click.option("--times", default=15, type=click.IntRange(1), show_default=True, help="Runs of each.")
@temp_book.server_option
def start(times: int, server: str | None) -> None:
    """Start a pass that has nothing to do, a page by CGI, and Python with Flask and Click, in turn."""
    with temp_book.fresh(server) as app:
        for _ in range(COMMENTS_SHOWN):
            factories.sign(temp_book.MESSAGE)
        environ = app.config["ENVIRON"]
        _run(CRON, environ)  # the first pass of an hour tidies up
        report.heading(db.engine, {"each": f"median of {times}, in turn"})
        runs = [{name: _run(command, environ) for name, command in COMMANDS.items()} for _ in range(times)]
        rows, base = list[list[report.Cell]](), 0.0
        for name in COMMANDS:
            ms, mb = map(statistics.median, zip(*(run[name] for run in runs), strict=True))
            base = base or ms  # that of the bare import
            is_above = ms / base > (PAGE_GOAL if name == PAGE else CPU_GOAL) or mb > MEMORY_GOAL
            rows.append([name, ms, report.ratio(ms, base), mb, "ABOVE" if is_above else ""])
        goals = f"goal {CPU_GOAL:g} ×, a page {PAGE_GOAL:g} ×, {MEMORY_GOAL:g} MB"
        report.table(["command", "CPU ms", "ratio", "peak MB", goals], rows)


def _run(command: Sequence[str], environ: Mapping[str, str]) -> tuple[float, float]:
    """Run Python; return its CPU time in ms and its peak memory in MB."""
    code, cpu, mb = process_usage.of_command((sys.executable, *command), environ)
    if code:
        raise click.ClickException(f"{' '.join(command)} ended with {code}.")
    return cpu * 1000, mb

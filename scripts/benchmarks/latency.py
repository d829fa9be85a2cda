"""From signing to receipt with `--stay`, and what an idle pass costs."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask import Flask

from guestbook.comments import book
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import Verdict
from guestbook.storage.database import db, writing
from scripts.benchmarks.support import fast_receiver, process_usage, report, temp_book


@click.command()
@click.option("--count", default=60, show_default=True, help="Comments to sign.")
@click.option("--every", default=0.3, show_default=True, help="Seconds between two.")
@click.option("--database", "server", help="URL of a server to use instead of SQLite.")
def latency(count: int, every: float, server: str | None) -> None:
    """Sign comments beside a waiting pass; print how long until the receiver has them, and the idle cost."""
    arrived: dict[str, float] = {}
    with _receiver(arrived) as port, temp_book.fresh(server) as app:
        report.heading(db.engine)
        temp_book.add_webhooks([port])
        with _staying(app) as process:
            _until(lambda: bool(_sign(app)) and len(arrived) > 0)
            before = process_usage.cpu([process.pid])
            time.sleep(5)
            idle = (process_usage.cpu([process.pid]) - before) / 5
            waits = [_wait(app, arrived, every) for _ in range(count)]
    waits.sort()
    median, p90 = statistics.median(waits), waits[count * 9 // 10]
    columns = ["", "median ms", "p90 ms", "idle, of a core"]
    report.table(columns, [["signed to received", median, p90, f"{idle:.1%}"]])


def _sign(app: Flask) -> str:
    draft = Draft(name="Ada", website=None, message=temp_book.MESSAGE, errors={})
    with writing() as session:
        settings = app.config["GUESTBOOK"]
        return book.sign(session, draft, Verdict("published", None), form_key=None, settings=settings).id


def _wait(app: Flask, arrived: dict[str, float], every: float) -> float:
    time.sleep(every)
    start = time.perf_counter()
    comment_id = _sign(app)
    _until(lambda: comment_id in arrived)
    return (arrived[comment_id] - start) * 1000


def _until(done: Any) -> None:
    deadline = time.monotonic() + 20
    while not done():
        if time.monotonic() > deadline:
            raise click.ClickException("The delivery did not arrive within 20 seconds.")
        time.sleep(0.001)


@contextmanager
def _receiver(arrived: dict[str, float]) -> Iterator[int]:
    """Give the port of a receiver in a thread of this process, whose clock the signer shares."""
    loop = asyncio.new_event_loop()

    class Count:
        value = 0

    def note(body: bytes) -> None:
        arrived[json.loads(body)["data"]["comment"]["id"]] = time.perf_counter()

    server = loop.run_until_complete(
        loop.create_server(lambda: fast_receiver.Sink(Count(), 0.0, note), "127.0.0.1", 0)
    )
    threading.Thread(target=loop.run_forever, daemon=True).start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)


@contextmanager
def _staying(app: Flask) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "flask", "--app", "guestbook", "cron", "--stay", "--max-seconds", "600"]
    process = subprocess.Popen(command, env={**os.environ, **app.config["ENVIRON"]})
    try:
        yield process
    finally:
        process.terminate()
        process.wait()

"""A run of `deliver`: its options, and passes that drain a book while each delivery must arrive once."""

import math
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

import click
from sqlalchemy import Engine, create_engine, make_url, text

from guestbook.lib import clock
from guestbook.storage.database import db
from scripts.benchmarks.support import processes, receivers, report, temp_book
from scripts.benchmarks.support.process_usage import Meter, Usage
from scripts.benchmarks.support.receivers import Behaviour, Receivers

SENDER = (sys.executable, "-m", "scripts.benchmarks.support.sender_main")
RECORDED = (  # valid for our tables and for those of the peers
    "SELECT count(*), max(finished_at) FROM deliveries JOIN attempts ON delivery_id = id"
    " WHERE status = 'processed' AND attempts = 1 AND number = 1"
)


@dataclass
class Run:
    """The options."""

    count: int
    webhooks: int
    rounds: int
    concurrency: int
    delay: float
    hanging: int
    server: str | None

    def __post_init__(self) -> None:
        """Check that there is something to measure."""
        if not 0 <= self.hanging < self.webhooks:
            raise click.UsageError("--hanging must leave a webhook that answers.")
        self.count -= self.count % self.webhooks
        if not self.count:
            raise click.UsageError("--count must leave a delivery for each of the webhooks.")
        self.answered = self.count // self.webhooks * (self.webhooks - self.hanging)

    def heading(self, more: dict[str, str]) -> None:
        """Print the machine, the versions and the size of the run."""
        size = f"{self.count:,} to {self.webhooks} webhooks, medians of n = {self.rounds} rounds in turn"
        engine = create_engine(self.server) if self.server else None
        report.heading(engine, {"deliveries": size, **more})
        if engine:
            engine.dispose()

    def passes(self, number: int, *, silent: bool) -> Usage:
        """Measure so many passes that drain a new book, with the webhooks that hang or without them."""
        kind = [make_url(self.server).get_backend_name()] if self.server else []
        behaviours = Behaviour(delay=self.delay), Behaviour(delay=math.inf)
        with (
            receivers.running(*behaviours) as receiver,
            temp_book.fresh(self.server) as app,
            tempfile.TemporaryDirectory() as folder,
        ):
            port, silent_port = receiver.ports
            hanging = [silent_port] * self.hanging if silent else []
            temp_book.add_webhooks([port] * (self.webhooks - self.hanging) + hanging)
            temp_book.fill(app, self.count // self.webhooks)
            environs = [
                {**app.config["ENVIRON"], "GUESTBOOK_DATA_DIR": f"{folder}/process {one}"}
                for one in range(number)
            ]
            command = (*SENDER, str(self.concurrency))
            with processes.workers("A pass", command, environs, Path(folder)) as (pids, lock):
                usage = self.usage_until_recorded(receiver, pids, lock, db.engine, kind)
            receivers.check(receiver.memories()[0], receivers.wanted_by(db.engine, port))
        return usage

    def usage_until_recorded(
        self, receiver: Receivers, pids: Sequence[int], lock: IO[str], engine: Engine, servers: Iterable[str]
    ) -> Usage:
        """Let go of the lock, and wait until all is received and recorded; the last record ends the time."""
        meter, began = Meter(pids, servers), clock.now()
        lock.close()
        processes.until(lambda: receiver.count >= self.answered, "The sending")
        processes.until(lambda: recorded(engine)[0] >= self.answered, "The recording")
        return meter.usage((recorded(engine)[1] - began).total_seconds())


def numbers(_context: object, _option: object, given: str) -> list[int]:
    """Read an option such as `1,2`."""
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", given, re.ASCII):
        raise click.BadParameter("whole numbers from 1 on, such as 1,2")
    return [int(part) for part in given.split(",")]


def recorded(engine: Engine) -> tuple[int, datetime]:
    """Return how many deliveries are processed after one attempt, and when the last was."""
    with engine.connect() as connection:
        count, last = connection.execute(text(RECORDED)).one()
    return count, clock.from_text(last) if last else clock.now()

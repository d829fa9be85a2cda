"""Passes, or relays and workers, that die by SIGKILL over and over and are replaced; what they had in hand.

Each has a data folder of its own, as on several hosts, so no lock keeps passes apart. When one dies, its
leases are made to run out at once; those of the living are left alone.
"""

import json
import os
import select
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import sqlalchemy

from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES
from tests.conftest import running, settings_for
from tests.support import busy_comments, databases, factories, inbound_factories
from tests.support.book import Book
from tests.support.busy_comments import BusyComments
from tests.support.forks import Command, Forks
from tests.support.killed_commands import moment
from tests.support.receiver import Receiver, Request, at_random

HASTY = {"GUESTBOOK_TIMEOUT": "5", "GUESTBOOK_RETRY_SCHEDULE": ",".join(["0"] * 40)}
STAY = "--stay", "--max-seconds", "900"
THREADS = "--concurrency", "8"
# Without the second in which a worker asks whether there are others, and what these then tell each other.
ALONE = "--without-mingle", "--without-gossip"
COMMANDS = {
    "pass": ("cron", *STAY, *THREADS),
    "relay": ("relay", *STAY),
    "worker": ("worker", "--pool", "threads", *ALONE, *THREADS, "--loglevel", "ERROR"),
}
LAST_CALL = {"pass": 500, "relay": 2500, "worker": 3000}  # at which one dies at the latest
MORE_CALLS = 3  # times as many on PostgreSQL, whose driver is written in Python
ACTS = 3  # what happens to comments before each kill
LAST_PASSES = 20
LOOK = 0.2  # seconds to wait for a death


@contextmanager
def opened_book(mode: str, forks: Forks, **more: str) -> Iterator[tuple[Book, dict[str, str]]]:
    """Give an empty book and its settings, outside of pytest; no command of it is left in the end."""
    with TemporaryDirectory() as name, databases.with_tables(mode, Path(name)) as url:
        environ = settings_for(Path(name), url) | HASTY | more
        with running(environ) as app, app.app_context():
            try:
                yield Book(app), environ
            finally:
                forks.ask(do="end")
                db.session.remove()


@dataclass
class KilledPasses:
    """Those at work for a book, and what became of them."""

    book: Book
    forks: Forks
    environ: dict[str, str]
    luck: Random
    wanted: dict[str, int]  # how many of which kind
    alive: dict[Command, str] = field(default_factory=dict)  # with the kind of each
    starts: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    held: set[tuple[str, str]] = field(default_factory=set)  # what the killed had leased, with their tokens

    def play(self, kills: int) -> Counter[str]:
        """Let so many die while much happens to comments, send the rest, and look at what arrived."""
        comments = BusyComments(self.book, self.luck.randrange(2**32))
        program = at_random(self.luck.randrange(2**32), (0.002, 0.05), 0.1)
        with Receiver(program=program) as receiver:
            paths = busy_comments.webhooks(self.book, receiver, 3)
            source = factories.source(action="comment", template="{{ payload.text }}")
            while self.kills.total() < kills:
                for _ in range(ACTS):
                    comments.act()
                factories.inbound(source, payload=json.dumps({"text": f"after {self.kills.total()} kills"}))
                self._start()
                self._bury_some()
            self._end()
            self._send_the_rest(comments)
        found = self._explain(receiver.requests, paths)
        assert comments.check(receiver.requests, paths) > kills, "little arrived"
        events = inbound_factories.rows()
        ended = {(one.status, one.attempts, one.error) for one in events}
        assert ended == {("processed", 1, None)}, f"inbound events: {ended}"
        assert len({one.comment_id for one in events}) == len(events), "an inbound event was written twice"
        return found

    def _start(self) -> None:
        """Start those that are missing."""
        if not self.starts and "pass" in self.wanted:
            self.forks.prepare(self.environ)
        starts = {"pass": self.forks.start_prepared, "worker": self.forks.start_celery}
        times = MORE_CALLS if self.book.engine.dialect.name == "postgresql" else 1
        for kind, number in self.wanted.items():
            while list(self.alive.values()).count(kind) < number:
                self.starts += 1
                environ = self.environ | moment(self.luck, times * LAST_CALL[kind])
                environ["GUESTBOOK_DATA_DIR"] += f"/host{self.starts}"
                one = starts.get(kind, self.forks.start)(environ, *COMMANDS[kind], point="at_a_call")
                self.alive[one] = kind

    def _bury_some(self) -> None:
        """Wait a moment for a death, and let the leases of the dead run out."""
        descriptors = {os.pidfd_open(one.pid): one for one in self.alive}
        ended, _, _ = select.select(list(descriptors), [], [], LOOK)
        for descriptor in descriptors:
            os.close(descriptor)
        self._bury([descriptors[descriptor] for descriptor in ended])

    def _end(self) -> None:
        """Kill those that are left. A server may still have run the last COMMIT of one that was gone."""
        for one in self.alive:
            one.end()
        self._bury(list(self.alive))
        self._expire("")

    def _bury(self, ended: Sequence[Command]) -> None:
        for one in ended:
            kind = self.alive.pop(one)
            assert (code := one.wait()) == -signal.SIGKILL, f"a {kind} ended with {code}: {one.printed}"
            self.kills[kind] += 1
            self._expire({"pass": f"{one.pid}.", "worker": f"worker.{one.pid}.", "relay": "relay."}[kind])

    def _expire(self, holder: str) -> None:
        query = sqlalchemy.select(DELIVERIES.c.id, DELIVERIES.c.claimed_by)
        with self.book.engine.connect() as connection:
            leased = connection.execute(query.where(DELIVERIES.c.claimed_by.startswith(holder))).all()
        self.held |= {(row.id, row.claimed_by) for row in leased if not row.claimed_by.startswith("relay.")}
        self.book.expire(holder)
        inbound_factories.expire(holder)

    def _send_the_rest(self, comments: BusyComments) -> None:
        left = {name: value for name, value in self.environ.items() if name != "GUESTBOOK_BROKER_URL"}
        for _ in range(LAST_PASSES):
            if self.book.statuses()["new"]:
                comments.all_due()
                assert not (done := self.forks.run(left, "cron")).printed, done.printed

    def _explain(self, requests: Sequence[Request], webhooks: dict[str, str]) -> Counter[str]:
        """Assert that all arrived, and that each request is on record or was a killed one's; count them."""
        came = Counter((webhooks[one.path], one.event_id) for one in requests)
        well = {(webhooks[one.path], one.event_id) for one in requests if one.status == 200}
        held = Counter(row_id for row_id, _ in self.held)
        found = Counter(requests=came.total())
        for row in self.book.deliveries():
            key = row.webhook_id, row.event_id
            unrecorded = came[key] - row.attempts
            assert row.status == "processed" or row.erased_at, f"not sent: {row}"
            assert row.status != "processed" or key in well, f"lost: {row}"
            assert unrecorded >= 0, f"an attempt that nobody made: {row}"
            # A pass cannot record what it has sent of a comment that was deleted meanwhile.
            assert unrecorded <= held[row.id] + bool(row.erased_at), f"unexplained: {row}"
            found["repeats"] += min(unrecorded, held[row.id])
            found["overtaken by a deletion"] += max(0, unrecorded - held[row.id])
        self.book.check()
        return found

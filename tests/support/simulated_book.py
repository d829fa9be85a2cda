"""A book whose time, network, disk and processes are simulated, and whose steps are drawn from a seed.

The program is the real one, on a real SQLite file.
"""

import logging
import random
import re
import secrets
import sqlite3
import threading
import time
from collections import Counter, namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import OperationalError

import guestbook
from guestbook.background import whole_pass
from guestbook.lib import clock, retry_policy
from guestbook.outbound import attempt_recorder, attempt_sender, rate_and_time_limits
from guestbook.outbound.delivery_dispatcher import Dispatcher
from guestbook.queue import claims
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.transport.failure import TransportError
from guestbook.transport.http_request_and_redirects import ReceiverAnswer

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
SCHEDULE = (0.0, 5.0, 300.0, 3600.0, 86400.0)
TIMEOUT, LEASE = 15.0, 60.0
HOUR, DAY = 3600.0, 86400.0
FOR_EVER = 10**9
BEGIN = 1000.0  # seconds on the clock that nobody sets
WRITE = re.compile(r"\s*(COMMIT|CREATE|ALTER|DROP|INSERT|UPDATE|DELETE)\b")
# The answers of receivers: a status and headers, or why there is none.
ANSWERS: dict[str, tuple[int, dict[str, str]] | str] = {
    "well": (204, {}),
    "fails": (500, {}),
    "redirects": (302, {"location": "https://elsewhere.example/"}),
    "gone": (410, {}),
    "busy": (429, {"retry-after": "600"}),
    "closed": (503, {"retry-after": "90000"}),
    "has enough": (200, {"webhook-delivery": "abort-message"}),
    "refuses": (400, {"webhook-delivery": "abort-message"}),
    "leaves": (200, {"webhook-delivery": "disable"}),
    "hangs": "timeout",
    "vanished": "connect_failed",
    "drops": "connection_lost",
}
Steps = list[tuple[str, int]]
Table = dict[str, Any]  # rows by id
Row = namedtuple(
    "Row",
    "id webhook_id event_id event comment_id sequence payload status due_at claimed_by attempts claims"
    " schedule_start finished_at erased_at created_at",
)
Hook = namedtuple("Hook", "id url events disabled_at paused_until rate")
Comment = namedtuple("Comment", "id status last_sequence")
Place = namedtuple("Place", "pair sequence event")


class Tables:
    """The tables of a book as of the last look."""

    def __init__(self, path: str) -> None:
        self.file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.version = -1
        self.rows, self.hooks, self.comments = Table(), Table(), Table()

    def has_changed(self) -> bool:
        """Whether anybody has written since the last look."""
        before, [self.version] = self.version, self.file.execute("PRAGMA data_version").fetchone()
        return bool(self.version != before)

    def deliveries(self, *, is_whole: bool) -> Table:
        """Read all of them, or only those that wait and those that have waited until now."""
        if is_whole:
            return self.read(Row, "deliveries", self.rows)
        waiting = self.read(Row, "deliveries WHERE due_at IS NOT NULL", self.rows)
        ended = "', '".join(key for key, row in self.rows.items() if row.due_at and key not in waiting)
        final = {key: row for key, row in self.rows.items() if not row.due_at}
        return final | waiting | self.read(Row, f"deliveries WHERE id IN ('{ended}')", self.rows)

    def read(self, kind: Any, table: str, before: Table) -> Table:
        """Read a table. Rows that are as before are the same objects."""
        columns = ", ".join(kind._fields).replace("payload", "length(payload)")
        found = self.file.execute(f"SELECT {columns} FROM {table}")
        return {row[0]: was if (was := before.get(row[0])) == row else kind._make(row) for row in found}


class KilledError(BaseException):
    """The process is gone. Nothing may catch this."""


@dataclass(eq=False)
class Actor:
    """A process that uses the book: a pass, or the web server on which the owner acts."""

    host: int = 0
    fuse: int = 0  # It dies at that statement from now.
    dead: bool = False
    away: float = 0.0  # seconds for which it was cut off
    slept: float = 0.0  # seconds that its monotonic clock missed
    began: float = 0.0
    hindered: float = -1.0  # when the disk was full for it
    over: bool = False
    tokens: set[str] = field(default_factory=set)
    recorded: Counter[str] = field(default_factory=Counter)


@dataclass(eq=False)
class Request:
    """A request that has arrived or failed, and what the answer means by the contract."""

    actor: Actor
    begun: float
    until: float
    away: float
    ok: bool
    abort: bool
    gone: bool
    pause: float


class Pass(Actor):
    """A pass in a thread. One thread runs at a time: `resume` lets this one run until it gives way."""

    def __init__(self, world: "SimulatedBook", host: int, work: Callable[["Pass"], None]) -> None:
        super().__init__(host, began=world.true)
        self.world, self.budget, self.stop = world, 0, None
        self.has_failed = False
        self._mine, self._main = threading.Semaphore(0), threading.Semaphore(0)
        self._left_at = 0.0
        threading.Thread(target=self._run, args=[work], daemon=True).start()

    def _run(self, work: Callable[["Pass"], None]) -> None:
        self._mine.acquire()
        try:
            work(self)
        except BaseException as error:  # What the death of a process leads to in its thread says nothing.
            self.has_failed = isinstance(error, OperationalError)
            if not (self.dead or self.has_failed):
                self.world.broken = self.world.broken or f"a pass raises {error!r}"
        self.over = True
        self._main.release()

    def resume(self, budget: int) -> None:
        """Let it run until its end, or until it has given others so many chances to run."""
        world, self.budget = self.world, budget
        self.away += world.true - self._left_at if self._left_at else 0.0
        world.current = self
        self._mine.release()
        self._main.acquire()
        self._left_at, world.current = world.true, world.owner

    def give_way(self) -> None:
        """Give control back when the budget is used up."""
        self.budget -= 1
        if self.budget == 0 and not self.dead:
            self._main.release()
            self._mine.acquire()
        if self.dead:
            raise KilledError


class SimulatedBook:
    """A book, its time, its processes and its receivers. It takes the place of the transport, too."""

    def __init__(self, folder: Path, rules: Callable[..., Any]) -> None:
        self.folder, self._make_rules = folder, rules
        environ = {
            "GUESTBOOK_DATA_DIR": str(folder),
            "GUESTBOOK_SECRET_KEY": "a secret key for a proof alone",
            "GUESTBOOK_BASE_URL": "https://book.example",
            "GUESTBOOK_RETRY_SCHEDULE": ",".join(map(str, SCHEDULE)),
            "GUESTBOOK_TIMEOUT": str(TIMEOUT),
        }
        self.app = guestbook.create_app(environ)
        self.settings = self.app.config["GUESTBOOK"]
        with self.app.app_context():
            self.engine = db.engine
            database.create_tables(self.engine)
        self.begin("")

    def begin(self, seed: str) -> None:
        """Empty the book and begin a year."""
        self.owner = self.current = Actor()
        self.true, self.offset, self.jumped, self.leapt = BEGIN, 0.0, 0.0, -9e9
        self.full_until, self.passes, self.kills, self.broken, self.deleting = 0.0, 0, 0, "", None
        self.running: list[Pass] = []
        self.redelivering: set[str] = set()
        self.rated: dict[str, float] = {}
        self.unwanted: str | None = None  # the webhook that is being deleted
        self.set_back = False
        self.answers: dict[str, list[str]] = {}
        drawn = Random(f"kind {seed}")
        self.skews = [drawn.uniform(-29, 29) if drawn.random() < 0.4 else 0.0] * 3
        if self.skews[0]:  # Several hosts share a server; else one host has one clock, which may jump.
            self.skews = [drawn.uniform(-29, 29) for _ in self.skews]
        self.engine.dispose()  # A broken year may have left a transaction.
        with self.engine.connect() as connection, connection.begin():
            for table in reversed(db.metadata.sorted_tables):
                connection.execute(table.delete())
        self.rules = self._make_rules(self, str(self.folder / "guestbook.db"))

    # --- what the program sees of the world

    def now(self) -> datetime:
        """Return the time by the clock of the process that runs."""
        seconds = self.true + self.offset + self.skews[self.current.host]
        return START + timedelta(milliseconds=int(seconds * 1000))

    def monotonic(self) -> float:
        """Return the time of the clock that nobody sets and that stops while the host sleeps."""
        return self.true - self.current.slept

    def nanoseconds(self) -> int:
        """Return the time for a new id. No two are of one millisecond."""
        self.true += 0.001
        return int(self.now().timestamp() * 1000) * 10**6

    def sleep(self, seconds: float) -> None:
        """Let time go on, and perhaps others run."""
        self.true += max(seconds, 0.001)
        self.rules.look(self.current)
        if isinstance(self.current, Pass):
            self.current.give_way()

    def statement(self, text: str) -> None:
        """Count a statement, at which the process may die or the disk be full."""
        actor = self.current
        self.true += 0.001
        actor.fuse -= 1
        actor.dead |= actor.fuse == 0
        if actor.dead:
            raise KilledError
        if self.true < self.full_until and WRITE.match(text) and random.random() < 0.4:
            actor.hindered = self.true
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise full if text == "COMMIT" else OperationalError(text, None, full)

    def post(self, url: str, headers: Any, body: bytes, *, seconds: float) -> ReceiverAnswer:
        """Receive a request, and answer as this receiver does at present."""
        rules, actor = self.rules, self.current
        rules.look(actor)
        row_id = rules.sent.get((headers["webhook-id"], rules.urls.get(url)))
        rules.must(row_id, "a pass sends only stored rows")
        answer = ANSWERS[random.choice(self.answers.get(url, ["well"]))]
        status, fields = (0, {}) if isinstance(answer, str) else answer
        lasts = seconds if answer == "timeout" else random.choices((0.0005, 0.1, 1, 10), (40, 4, 2, 1))[0]
        wish, ok = fields.get("webhook-delivery"), 200 <= status < 300
        pause = min(float(fields.get("retry-after", 0)), DAY)
        is_gone = status == 410 or wish == "disable"
        request = Request(
            *(actor, self.true, self.true + lasts, actor.away), *(ok, wish == "abort-message", is_gone, pause)
        )
        if row_id in rules.rows:  # else it was deleted with its webhook
            rules.begins(actor, rules.rows[row_id], request, body)
        if isinstance(actor, Pass):
            actor.give_way()
        self.true = max(self.true, request.until)
        if isinstance(answer, str):
            raise TransportError(answer, sent=True)
        return ReceiverAnswer(status, fields, b"", None)

    def explains(self, sent: Request) -> bool:
        """Whether a kill, the clock, a full disk or a cut is the reason that an attempt is not recorded."""
        actor = sent.actor
        was_away = actor.away > sent.away or not (actor.over or actor is self.current)
        return actor.dead or was_away or max(self.jumped, actor.hindered) >= sent.begun

    def has_freed(self, row: Any) -> bool:
        """Whether a pass may free this row, because the clock was set back: a relay's lease may be long."""
        ahead = retry_policy.RELAY_LEASE if row.claimed_by else claims.CLOCK_SKEW
        return self.set_back and row.due_at > clock.to_text(self.now() + ahead)

    def limit(self, **_: int) -> None:
        """Keep as many connections as you like."""

    def close(self) -> None:
        """Close nothing."""

    # --- steps and processes

    def live(self, seed: str, steps: Steps) -> str:
        """Live a year of these steps from its beginning; return the rule that it breaks, if it does."""
        with played(self):
            self.begin(seed)
            return self.run(steps)

    def counts(self) -> dict[str, int]:
        """Return the figures of the year."""
        mine, days = self.rules, int((self.true - BEGIN) / DAY)
        return {
            **{"days": days, "deliveries": mine.born, "requests": mine.requests, "repeats": mine.repeats},
            **{"passes": self.passes, "kills": self.kills, "deleted by retention": mine.pruned},
        }

    def run(self, steps: Steps) -> str:
        """Do these steps, then let all be well; return the rule that is broken, if one is."""
        with suppress(KilledError):
            for name, seed in [*steps, ("settle", 0)]:
                self.step(name, seed)
                if self.broken:
                    break
        for one in self.running:
            one.dead = True
            if not one.over:
                one.resume(1)
        return self.broken

    def step(self, name: str, seed: int) -> None:
        """Do a step. The owner may be killed in the middle of it, or meet a full disk."""
        self.true += 0.01
        random.seed(seed)
        drawn = Random(seed)
        self.owner = self.current = Actor()
        if name in ("sign", "moderate", "redeliver", "webhook", "upgrade") and drawn.random() < 0.05:
            self.owner.fuse = drawn.randint(1, 30)
        with suppress(OperationalError):
            try:
                getattr(self, name)(drawn)
            except KilledError:
                if self.broken:
                    raise
        self.owner.fuse, self.owner.dead = 0, False
        db.session.remove()
        self.rules.look(self.owner)
        self.redelivering, self.deleting, self.unwanted = set(), None, None

    def start(self, host: int, fuse: int, budget: int, *, housekeeping: bool) -> None:
        """Start a pass."""
        self.passes += 1
        one = Pass(self, host, lambda it: self.work(it, 50.0, housekeeping))
        one.fuse = fuse
        self.running.append(one)
        self.go(one, budget)

    def work(self, actor: Pass, most: float, housekeeping: bool) -> None:
        """Do what the command does."""
        lock = f"{actor.host}.lock"
        options: Any = {"housekeeping": housekeeping, "in_request": True, "lock": lock}
        with whole_pass.opened_pass(self.engine, self.settings, most, **options) as running:
            if running is None:
                return
            dispatcher = Dispatcher(self.engine, self.settings, concurrency=1)
            if self.skews[0]:
                dispatcher._skew = claims.CLOCK_SKEW  # as on a server
            running.tally, actor.stop = dispatcher.tally, running.stop
            dispatcher.run(until=running.until, stay=False, stop=running.stop)
        self.rules.look(actor)
        if not running.stop.is_set():
            self.rules.ends(actor, most)
        tally = dispatcher.tally
        counts = {"processed": tally.processed, "retried": tally.retried, "failed": tally.failed}
        self.rules.must(
            actor.hindered >= 0
            or +actor.recorded == {one: number for one, number in counts.items() if number},
            "a pass counts what it has recorded",
        )

    def go(self, one: Pass, budget: int) -> None:
        """Let a pass run, and look at what it did."""
        one.resume(budget)
        self.current = one  # What it did is looked at by its clock.
        self.rules.look(one)
        self.current = self.owner
        if one.over:
            self.running.remove(one)
            self.kills += one.dead


@contextmanager
def played(world: SimulatedBook) -> Iterator[None]:
    """Let the program see this world in place of the real time and the network."""

    def see(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        world.statement(statement)

    def commit(_dialect: Any, raw: Any) -> None:
        world.statement("COMMIT")
        raw.commit()

    def refused(*_: Any, **__: Any) -> None:
        world.rules.must(False, "the database takes each record")

    # Several hosts count a rate by the clock of their server, which this file stands for.
    seconds = SimpleNamespace(
        get=lambda *_: str(START.timestamp() + world.true) if world.skews[0] else "NULL"
    )
    times = {"monotonic": world.monotonic, "sleep": world.sleep, "time": lambda: world.now().timestamp()}
    times["time_ns"] = world.nanoseconds
    event.listen(Engine, "before_cursor_execute", see)
    logging.disable(logging.CRITICAL)
    try:
        with (
            world.app.app_context(),
            patch.multiple(time, **times),
            patch.object(clock, "now", world.now),
            patch.object(secrets, "randbits", random.getrandbits),
            patch.object(DefaultDialect, "do_commit", commit),
            patch.object(attempt_recorder.log, "error", refused),
            patch.object(attempt_sender, "transport", lambda *_, **__: world),
            patch.object(rate_and_time_limits, "SECONDS_BY_SERVER", seconds),
        ):
            yield
    finally:
        logging.disable(logging.NOTSET)
        event.remove(Engine, "before_cursor_execute", see)

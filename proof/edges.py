"""The edges of the model, driven against the program: put the rows of a state, call the function, compare.

TLC prints each edge: the action, and the rows before and after. Those that differ only in what no function
sees, such as the hand of another pass, are one. A unit of the model's time is a minute, so a lease is one.
"""

import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import click
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from guestbook.background import whole_pass
from guestbook.comments import comment_actions
from guestbook.lib import clock, retry_policy, signatures
from guestbook.outbound import attempt_recorder, attempt_sender, delivery_tasks, event_publisher
from guestbook.outbound.delivery_dispatcher import Dispatcher
from guestbook.outbound.delivery_tasks import DeliveryTask, Outcome
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queue import clock_repair, redelivery
from guestbook.settings import Settings
from guestbook.storage import database, row_changes
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Delivery, Webhook
from guestbook.storage.models.delivery import FIRST_VERSION, NeededSecrets
from guestbook.transport.http_request_and_redirects import ReceiverAnswer
from proof import model
from tests.support import databases, factories, model_states
from tests.support.model_states import END, EVENT, NOW, UNIT, Edge, row_id

DATABASES = {kind.partition("-")[0]: kind for kind in databases.KINDS}
ANSWERS = {"ok": 200, "fail": 500, "gone": 410}
LEASES = {1: [(1, 1)], 0: [(0, 1), (1, -8), (1, 21)]}  # units left by the monotonic clock and by the other
IDLE = ("Tick", "ClockStep", "Crash")  # Time passes, or a pass is killed: no function does it.
LARGER = "CONSTANTS Hooks = {w1, w2} Comments = {c1, c2} Events = 3 Tries = 2 Faults = 2 Skew = 1"
SECRET = signatures.new_secret()


@click.command()
@click.option("--seed", default=1, help="What is drawn.")
@click.option("--count", default=20_000, help="So many edges of a larger model are drawn.")
@click.option("--database", "names", multiple=True, type=click.Choice([*DATABASES]), help="Only this one.")
@click.option("--drawn", is_flag=True, help="Without all the edges of the small model.")
def edges(seed: int, count: int, names: Sequence[str], drawn: bool) -> None:
    """Drive the edges of the model against the program's functions."""
    wrong = 0
    for size in (1, 2)[drawn:]:
        some = printed(seed, count if size == 2 else None)
        for name in names or DATABASES:
            began = time.monotonic()
            with opened(DATABASES[name], size) as book:
                differ = list(filter(None, map(book.drive, map(model_states.read, some))))
            seconds = time.monotonic() - began
            click.echo(f"{name}: {len(some)} edges driven, {len(differ)} differ, {seconds:.0f} s")
            click.echo("\n".join(differ[:3]), nl=bool(differ))
            wrong += len(differ)
    if wrong:
        raise SystemExit(1)


def printed(seed: int, count: int | None) -> list[str]:
    """Let TLC print edges, all or some; return the different ones that a function makes."""
    small = (model.FOLDER / "small.cfg").read_text().partition("Spec\n")[2].partition("INVARIANTS")[0]
    start, sizes, most = ("Drawn", LARGER, 2 * count) if count else ("Whole", small, 0)
    words = ("-workers", "1", "-seed", str(seed), "-fp", "1", "-config", "edges.cfg", "edges.tla")
    with TemporaryDirectory() as folder:
        for name in ("queue.tla", "edges.tla"):
            shutil.copy(model.FOLDER / name, folder)
        Path(folder, "edges.cfg").write_text(f"SPECIFICATION {start}\n{sizes}\nMost = {most}\n")
        done = model.run_tlc(folder, *words)
    if done.returncode:
        raise click.ClickException(f"TLC failed:\n{done.stdout[-2000:]}")
    lines = [line for line in done.stdout.splitlines() if line.startswith('"<<')]
    driven = [line for line in lines if line.split('"')[2].rstrip("\\") not in IDLE]
    found = list(dict.fromkeys(driven))
    if count:
        found = Random(seed).sample(found, min(count, len(found)))
    idle = len(lines) - len(driven)
    name = "larger" if count else "small"
    click.echo(
        f"{name} model: {len(lines)} edges, {idle} of them time or kills; {len(found)} different driven"
    )
    return found


@contextmanager
def opened(kind: str, size: int) -> "Iterator[Book]":
    """Give a book with so many webhooks, whose clock stands still."""
    from tests import conftest  # It prepares this process for tests.

    with TemporaryDirectory() as name, databases.with_tables(kind, Path(name)) as url, ExitStack() as stack:
        app = stack.enter_context(conftest.running(conftest.settings_for(Path(name), url)))
        stack.enter_context(app.app_context())
        hooks = ("w1", "w2")[:size]
        for hook in hooks:
            factories.webhook(id=hook, name=hook, events=f"{EVENT} {END}")
        book = Book(app.config["GUESTBOOK"], hooks)
        stack.enter_context(patch.object(clock, "now", lambda: book.moment))
        stack.enter_context(patch.object(retry_policy, "JITTER", 0))
        yield book


class Book:
    """A book that takes on any state of the model."""

    def __init__(self, settings: Settings, hooks: Sequence[str]) -> None:
        # On SQLite the program has no margin for clocks that differ, and the model has one.
        terms: Any = {"retry_schedule": (0.0, 60.0)[: len(hooks)], "timeout": 15, "database_url": "mariadb:"}
        self._settings, self._hooks, self.moment = replace(settings, **terms), hooks, NOW
        self._status, self._sent, self._tries = 0, 0, dict[Any, int]()
        self._engine = db.engine
        self._passes = [Dispatcher(self._engine, self._settings, concurrency=1) for _ in range(2)]
        transport = attempt_sender.transport(self._settings, threads=False)
        self._sender = attempt_sender.Sender(transport, self._settings, own=self._receive)

    def drive(self, edge: Edge) -> str | None:
        """Drive an edge in a transaction that goes back; return what differs from the model."""
        problem = None
        with database.write(self._engine) as connection:
            self._tries = {row[0]: row[4] for row in edge.rows}
            model_states.put(connection, edge, self._hooks)
            base = NOW - timedelta(minutes=20 * (edge.action == "ClockBack"))
            self.moment = base + UNIT * (edge.action in ("Claim", "Record", "Release") and edge.named[0])
            if do := getattr(self, f"_{edge.action.lower()}", None):
                problem = do(connection, *edge.named)
            else:
                self._change(connection, edge)
            found = model_states.found(connection, edge, base, len(self._hooks))
            connection.rollback()
        wanted = model_states.wanted(edge)
        if found != wanted:
            problem = f"{found} is not {wanted}"
        return f"{edge}\n    but {problem}" if problem else None

    def _claim(self, connection: Connection, number: int, first: Any = ()) -> None:
        """Let a pass claim one delivery, as in the model: `first` is due before the others."""
        rooms = {hook: int(not first or hook == first[0]) for hook in self._hooks}
        with patch.object(self._passes[number].pool, "rooms", lambda _: rooms):
            self._passes[number].claim(connection)

    def _record(self, connection: Connection, _: int, tasks: Any) -> None:
        [(delivery, token, state)] = tasks
        task = self._task(delivery, f"token {token}")
        outcome = Outcome(task) if state == "held" else self._attempt(task, state)
        attempt_recorder.record(connection, [outcome], self._settings)

    _release = _record

    def _send(self, _: Connection, answer: str, left: list[int]) -> str | None:
        is_sent, found = left == [1], []
        for ends in LEASES[left[0]]:
            self._sent = 0
            outcome = self._attempt(self._task(("w1", "c1", 1), "", *ends), answer)
            found.append((self._sent, outcome.started_at is not None, outcome.ok, outcome.decision.gone))
        right = is_sent, is_sent, is_sent and answer == "ok", is_sent and answer == "gone"
        return None if {*found} == {right} else f"{found} is not {right}"

    def _attempt(self, task: DeliveryTask, answer: str) -> Outcome:
        self._status = ANSWERS[answer]
        return self._sender.attempt(task)

    def _receive(self, *_: object) -> ReceiverAnswer:
        self._sent += 1
        return ReceiverAnswer(self._status, {}, b"", None)

    def _task(self, delivery: Any, token: str, monotonic: int = 1, by_clock: int = 1) -> DeliveryTask:
        hook, comment, sequence = delivery
        to = delivery_tasks.receiver(hook, "", "https://x.example", "{}", NeededSecrets(SECRET))
        return DeliveryTask(
            *(row_id(delivery), "e", EVENT, b"{}", FIRST_VERSION, self._tries.get(delivery, 0), 0),
            *(clock.to_text(NOW), token, time.monotonic() + 60 * monotonic, to, comment, sequence),
            leased_until=self.moment + UNIT * by_clock,
        )

    def _change(self, connection: Connection, edge: Edge) -> None:
        """Do what is no step of a pass, all in this transaction."""
        same, settings, one = nullcontext(connection), self._settings, (*edge.named, None)[0]
        engine: Any = SimpleNamespace(connect=lambda: same)
        patched = patch.multiple(database, write=lambda *_: same, read=lambda *_: same)
        publish, publish_first = event_publisher.publish, event_publisher.publish_first
        new = event_publisher.NewEvent(EVENT, EVENTS[EVENT].sample_data())
        is_first = (one, 0, [], False) in edge.comments
        with Session(connection, join_transaction_mode="rollback_only") as session, patched:
            get: Any = partial(session.get_one, ident=one)
            do: dict[str, Callable[[], object]] = {
                "Publish": lambda: publish(connection, *new[:2], settings, comment_id=one),
                "First": lambda: publish_first(connection, [new], settings, one, 0),
                "Delete": lambda: comment_actions.move(session, get(Comment), "trash", settings),
                "Erase": lambda: comment_actions.delete(session, get(Comment), settings),
                "Redeliver": lambda: redelivery.make_due(session, Delivery, [row_id(one)], NOW),
                "Disable": lambda: row_changes.disable(session, get(Webhook)),
                "Enable": lambda: row_changes.enable(session, get(Webhook)),
                "Prune": lambda: whole_pass.prune(engine, settings, until=math.inf),
                "ClockBack": lambda: clock_repair.repair(engine, 15, settings.retry_schedule, went_back=True),
            }
            do["First" if is_first and edge.action == "Publish" else edge.action]()

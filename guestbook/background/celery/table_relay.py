"""Hand one table's due rows to the broker: claim, publish, and extend the leases of what waits for long."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from typing import Any

from sqlalchemy import Connection, Engine, Table

from guestbook.background.celery.messages import SHARES, Handover
from guestbook.background.celery.publisher import Publisher
from guestbook.background.celery.window import REFILL_WITHIN, Window
from guestbook.lib import clock, ids, retry_policy
from guestbook.lib.sliding_log import RateLimit
from guestbook.queue import leases
from guestbook.queue.ordered_claims import OrderedClaims
from guestbook.storage import transaction_retry
from guestbook.storage.models import DELIVERIES

TOKEN_PREFIX = "relay."  # of the rows that were published and not taken over by a worker
MOST_IN_FLIGHT = 2048  # rows of all webhooks or sources together
LEAST_REFILL = 256  # rows; when so many are in flight, a few more can wait for a moment
# A row without a lease that is due so soon was given back by a worker.
GIVEN_BACK_WITHIN = timedelta(seconds=3)


@dataclass(slots=True)
class TableRelay:
    """The way from one table to one of the broker's queues.

    `ready` returns, for a moment, the query for the owners (webhooks or sources) that have something due:
    their id, their failures in a row and their rate limit. `owner` is the table's column with this id.
    """

    engine: Engine
    table: Table
    owner: str
    ready: Callable[[datetime], Any]
    task: str
    lease: timedelta
    most: int = 1  # rows in a message
    _name: str = field(default_factory=ids.new)
    _ticks: int = 0
    _windows: dict[str, Window] = field(default_factory=dict)
    _short: dict[str, tuple[str, float]] = field(default_factory=dict)  # in flight: token, and when to extend
    _refill_at: float = 0.0  # on the monotonic clock
    _claims: OrderedClaims = field(init=False)

    def __post_init__(self) -> None:
        columns = ("id", "sequence") if self.table is DELIVERIES else ("id",)
        self._claims = OrderedClaims(self.table, self.owner, columns)

    @property
    def in_flight(self) -> set[str]:
        """Return the ids of the published rows, of which some may have ended since the last claim."""
        return set(chain.from_iterable(window.in_flight for window in self._windows.values()))

    def work(self, publisher: Publisher) -> int:
        """Publish as many rows as the windows allow; return how many.

        Raises BrokerAway. The rows that the broker has not confirmed are due again then.
        """
        self.extend()
        if not self._may_claim():
            return 0
        owners = transaction_retry.write(self.engine, self._claim)
        if not owners:
            return 0
        extend_at = time.monotonic() + self.lease.total_seconds() / 2
        missing, fault = publisher.publish(self.task, in_messages(owners, self.most))
        if missing:
            transaction_retry.write(self.engine, lambda connection: self._release(connection, missing))
        for row in owners.keys() - set(missing):
            self._windows[owners[row]].in_flight.add(row.id)
            self._short[row.id] = (row.token, extend_at)
        if fault:
            raise fault
        return len(owners)

    @property
    def extend_at(self) -> float:
        """Return when leases must be extended, on the monotonic clock: half a lease after the publishing."""
        return next(iter(self._short.values()))[1] if self._short else math.inf

    def extend(self, *, at_end: bool = False) -> None:
        """Lease rows that are in flight for long, or at the end all, for as long as a message may wait."""
        if not at_end and time.monotonic() < self.extend_at:
            return
        self._forget_finished()
        late, by_token = time.monotonic(), defaultdict(list)
        for row_id, (token, extend_at) in self._short.items():
            if at_end or extend_at <= late:
                by_token[token].append(row_id)
        if by_token:
            transaction_retry.write(self.engine, lambda connection: self._extend(connection, by_token))
        for row_id in chain.from_iterable(by_token.values()):
            del self._short[row_id]

    def _may_claim(self) -> bool:
        """Whether something is due and its window has room. It takes no write lock."""
        ready = self.ready(clock.now())
        owners = transaction_retry.read(self.engine, lambda connection: connection.execute(ready).all())
        if owners:
            self._forget_finished()
        return self._spare > 0 and any(self._room(*owner) for owner in owners)

    def _forget_finished(self) -> None:
        now = clock.now()

        def ask(connection: Connection) -> tuple[set[str], set[str]]:
            times = {"now": now, "soon": now + GIVEN_BACK_WITHIN}
            return leases.in_flight(connection, self.table, self.in_flight, **times)

        still, given_back = transaction_retry.read(self.engine, ask)
        for window in self._windows.values():
            window.keep(still, given_back)
        for row_id in self._short.keys() - still:
            del self._short[row_id]

    def _claim(self, connection: Connection) -> dict[Handover, str]:
        """Lease due rows for as long as a pass does: if we die now, others have them soon.

        Return them by owner, each with the owner's id.
        """
        now = clock.now()
        self._ticks += 1
        token = f"{TOKEN_PREFIX}{self._name}.{self._ticks}"
        owners = connection.execute(self.ready(now)).all()
        first = self._ticks % len(owners) if owners else 0  # the first to be served changes each time
        limits = {one[0]: self._room(*one) for one in (*owners[first:], *owners[:first])}
        terms: dict[str, Any] = {"now": now, "until": now + self.lease, "token": token, "counted": False}
        leased = self._claims.take(connection, limits, most=self._spare, **terms)
        for owner_id, rows in leased.items():
            self._window(owner_id).note_claim(is_full=len(rows) == limits[owner_id])
            self._refill_at = time.monotonic() + REFILL_WITHIN
        return {Handover(row.id, token): owner_id for owner_id, rows in leased.items() for row in rows}

    @property
    def _spare(self) -> int:
        spare = MOST_IN_FLIGHT - sum(len(window.in_flight) for window in self._windows.values())
        return spare if spare >= LEAST_REFILL or time.monotonic() >= self._refill_at else 0

    def _room(self, owner_id: str, failures: int, rate: str | None) -> int:
        """Return how many rows to publish; workers would give back what is over the rate limit."""
        window = self._window(owner_id)
        room = window.room(failures)
        return min(room, max(0, RateLimit.stored(rate).number - len(window.in_flight))) if rate else room

    def _window(self, owner_id: str) -> Window:
        return self._windows.setdefault(owner_id, Window())

    def _extend(self, connection: Connection, by_token: dict[str, list[str]]) -> None:
        until = clock.now() + retry_policy.RELAY_LEASE
        for token, row_ids in by_token.items():
            leases.extend(connection, self.table, row_ids, until=until, token=token)

    def _release(self, connection: Connection, rows: Sequence[Handover]) -> None:
        now = clock.now()
        back = [{"row_id": row.id, "token": row.token, "due_at": now} for row in sorted(rows)]
        leases.release(connection, self.table, back)


def in_messages(owners: dict[Handover, str], most: int) -> list[list[Handover]]:
    """Divide a claim, which is in the order of the owners, into messages.

    A message has rows of few owners, so that a slow one delays few messages. An owner's next rows come after
    the first ones of all others.
    """
    size = min(most, math.ceil(len(owners) / SHARES)) or 1
    rows: dict[str, list[Handover]] = defaultdict(list)
    for row, owner_id in owners.items():
        rows[owner_id].append(row)
    parts = [[some[at : at + size] for at in range(0, len(some), size)] for some in rows.values()]
    messages: list[list[Handover]] = []
    for part in _round_robin(parts):
        if messages and len(messages[-1]) + len(part) <= size:
            messages[-1] += part
        else:
            messages.append(part)
    return messages


def _round_robin(groups: Sequence[Sequence[list[Handover]]]) -> Iterator[list[Handover]]:
    """Yield the first part of each group, then the next of each."""
    return (part for each in zip_longest(*groups) for part in each if part is not None)

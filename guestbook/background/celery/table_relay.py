"""Hand one table's due rows to the broker: claim, publish, then extend the lease while messages wait."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from typing import Any

from sqlalchemy import Connection, Engine, Table, select

from guestbook.background.celery.messages import Handover
from guestbook.background.celery.publisher import Publisher
from guestbook.background.celery.window import Window
from guestbook.lib import clock, ids, retry_policy
from guestbook.lib.sliding_log import RateLimit
from guestbook.queue import leases
from guestbook.queue.ordered_claims import OrderedClaims
from guestbook.storage import database

TOKEN_PREFIX = "relay."  # of the rows that were published and not taken over by a worker
MOST_IN_FLIGHT = 2048  # rows of all webhooks or sources together
IDS_PER_QUERY = 500


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
    _name: str = field(default_factory=ids.new)
    _ticks: int = 0
    _windows: dict[str, Window] = field(default_factory=dict)
    _claims: OrderedClaims = field(init=False)

    def __post_init__(self) -> None:
        self._claims = OrderedClaims(self.table, self.owner)

    @property
    def in_flight(self) -> set[str]:
        """Return the ids of the published rows, of which some may have ended since the last claim."""
        return set(chain.from_iterable(window.in_flight for window in self._windows.values()))

    def work(self, publisher: Publisher) -> int:
        """Publish as many rows as the windows allow; return how many.

        Raises BrokerAway. The rows that the broker has not confirmed are due again then.
        """
        if not self._may_claim():
            return 0
        owners = database.write_with_retry(self.engine, self._claim)
        if not owners:
            return 0
        missing, fault = publisher.publish(self.task, list(owners))
        sent = [row for row in owners if row not in missing]
        database.write_with_retry(self.engine, lambda connection: self._record(connection, sent, missing))
        for row in sent:
            self._windows[owners[row]].in_flight.add(row.id)
        if fault:
            raise fault
        return len(owners)

    def _may_claim(self) -> bool:
        """Whether something is due and its window has room. It takes no write lock."""
        with self.engine.connect() as connection:
            owners = connection.execute(self.ready(clock.now())).all()
        if owners:
            self._forget_finished()
        return self._spare > 0 and any(self._room(*owner) for owner in owners)

    def _forget_finished(self) -> None:
        in_flight = sorted(self.in_flight)
        columns, now = self.table.c, clock.now()
        still: set[str] = set()
        with self.engine.connect() as connection:
            for start in range(0, len(in_flight), IDS_PER_QUERY):
                some = columns.id.in_(in_flight[start : start + IDS_PER_QUERY])
                leased = columns.claimed_by.is_not(None), columns.due_at > now
                still.update(connection.scalars(select(columns.id).where(some, *leased)))
        for window in self._windows.values():
            window.keep(still)

    def _claim(self, connection: Connection) -> dict[Handover, str]:
        """Lease due rows for as long as a pass does: if we die now, others have them soon.

        Return them in the order of publishing, each with its owner's id.
        """
        now = clock.now()
        self._ticks += 1
        token = f"{TOKEN_PREFIX}{self._name}.{self._ticks}"
        owners = connection.execute(self.ready(now)).all()
        first = self._ticks % len(owners) if owners else 0  # the first to be served changes each time
        spare = self._spare
        found = {}
        for owner_id, failures, rate in (*owners[first:], *owners[:first]):
            limit = min(self._room(owner_id, failures, rate), spare)
            if limit:
                found[owner_id] = self._claims.find(connection, owner_id, now=now, limit=limit, ids_only=True)
                spare -= len(found[owner_id])
        until = now + self.lease
        leased = self._claims.lease(connection, found, now=now, until=until, token=token, counted=False)
        return dict(
            _round_robin(
                [[(Handover(row.id, token), owner_id) for row in rows] for owner_id, rows in leased.items()]
            )
        )

    @property
    def _spare(self) -> int:
        return MOST_IN_FLIGHT - sum(len(window.in_flight) for window in self._windows.values())

    def _room(self, owner_id: str, failures: int, rate: str | None) -> int:
        """Return how many rows to publish; workers would give back what is over the rate limit."""
        window = self._window(owner_id)
        room = window.room(failures)
        return min(room, max(0, RateLimit.stored(rate).number - len(window.in_flight))) if rate else room

    def _window(self, owner_id: str) -> Window:
        return self._windows.setdefault(owner_id, Window())

    def _record(self, connection: Connection, sent: Sequence[Handover], missing: Sequence[Handover]) -> None:
        """Lease confirmed rows for as long as a message may wait, and release the others at once."""
        now = clock.now()
        if sent:
            until, sent_ids = now + retry_policy.RELAY_LEASE, [row.id for row in sent]
            leases.extend(connection, self.table, sent_ids, until=until, token=sent[0].token)
        if missing:
            back = [{"row_id": row.id, "token": row.token, "due_at": now} for row in sorted(missing)]
            leases.release(connection, self.table, back)


def _round_robin(groups: Sequence[Sequence[tuple[Handover, str]]]) -> Iterator[tuple[Handover, str]]:
    """Yield one row of each group, then the next of each, so that no owner waits for all of another's."""
    return (row for each in zip_longest(*groups) for row in each if row is not None)

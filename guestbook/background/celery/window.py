"""A belt carries one table's due rows to the broker: claim, publish, let the lease last longer.

How much of one webhook's (or source's) work is under way is bounded by a window, which starts small, grows
with what gets done and shrinks when something fails. So the queue holds only what workers will soon take,
a receiver that hangs does not occupy them all, and the backlog stays in the database.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, zip_longest
from typing import Any

from sqlalchemy import Connection, Engine, Table, select

from guestbook.background.celery.publisher import Handover, Publisher
from guestbook.lib import clock, ids, retry_policy
from guestbook.queue import leases
from guestbook.storage import database

TOKEN = "relay."  # begins the token of all that was published and not taken over
FIRST_WINDOW = 8  # rows
MOST_WINDOW = 512
MOST_OUT = 2048  # rows of all groups
LOOK = 500  # rows that one query asks for


@dataclass(slots=True)
class Window:
    """What is under way for one webhook or source, and how much may be."""

    size: int = FIRST_WINDOW
    out: set[str] = field(default_factory=set)

    def settle(self, still: set[str]) -> None:
        """Forget what is no longer under way; as much more may be from now on."""
        done = len(self.out) - len(self.out & still)
        self.out &= still
        self.size = min(self.size + done, MOST_WINDOW)

    def room(self, failures: int) -> int:
        """Return how many more rows may be under way."""
        if failures:
            self.size = 1 if failures >= retry_policy.PAUSE_AFTER else 2
        return max(0, self.size - len(self.out))


class Belt:
    """One table's way to one of the broker's queues.

    `ready` gives, for a moment, the query for the groups that have something due: their id and their failures
    in a row, by `group`, the column of the table that has that id.
    """

    def __init__(
        self,
        engine: Engine,
        table: Table,
        group: str,
        ready: Callable[[datetime], Any],
        task: str,
        lease: timedelta,
    ) -> None:
        self._engine = engine
        self._table = table
        self._group = table.c[group]
        self._ready = ready
        self._task = task
        self._lease = lease
        self._name = ids.new()
        self._ticks = 0
        self._windows: dict[str, Window] = {}

    def work(self, publisher: Publisher) -> int:
        """Publish what may be under way and is not; return how much.

        Raises BrokerAway; what the broker has not confirmed is then due again.
        """
        if not self._may_claim():
            return 0
        rows = database.insist(self._engine, self._claim)
        if not rows:
            return 0
        missing, fault = publisher.publish(self._task, rows)
        database.insist(self._engine, partial(self._note, rows, {row.id for row in missing}))
        if fault:
            raise fault
        return len(rows)

    def _may_claim(self) -> bool:
        """Whether something is due and its window has room. It takes no write lock."""
        with self._engine.connect() as connection:
            groups = connection.execute(self._ready(clock.now())).all()
        if groups:
            self._settle()
        return self._spare > 0 and any(self._window(group_id).room(failures) for group_id, failures in groups)

    def _settle(self) -> None:
        out = sorted(chain.from_iterable(window.out for window in self._windows.values()))
        columns, now = self._table.c, clock.now()
        still: set[str] = set()
        with self._engine.connect() as connection:
            for start in range(0, len(out), LOOK):
                mine = columns.id.in_(out[start : start + LOOK]), columns.claimed_by.is_not(None)
                still.update(connection.scalars(select(columns.id).where(*mine, columns.due_at > now)))
        for window in self._windows.values():
            window.settle(still)

    def _claim(self, connection: Connection) -> list[Handover]:
        """Claim for as long as a pass does: should we die now, others have it soon."""
        now = clock.now()
        self._ticks += 1
        token = f"{TOKEN}{self._name}.{self._ticks}"
        groups = connection.execute(self._ready(now)).all()
        turn = self._ticks % len(groups) if groups else 0  # nobody is always the first to be served
        spare = self._spare
        claimed: list[list[Handover]] = []
        for group_id, failures in (*groups[turn:], *groups[:turn]):
            room = min(self._window(group_id).room(failures), spare)
            if room:
                among = self._group == group_id
                due = leases.claim(connection, self._table, among, now=now, limit=room, ids_only=True)
                claimed.append([Handover(group_id, row.id, token) for row in due])
                spare -= len(due)
        rows = list(_by_turns(claimed))
        row_ids, until = [row.id for row in rows], now + self._lease
        leases.lease(connection, self._table, row_ids, now=now, until=until, token=token, counted=False)
        return rows

    @property
    def _spare(self) -> int:
        return MOST_OUT - sum(len(window.out) for window in self._windows.values())

    def _window(self, group_id: str) -> Window:
        return self._windows.setdefault(group_id, Window())

    def _note(self, rows: Sequence[Handover], missing: set[str], connection: Connection) -> None:
        """Let the confirmed ones last as long as a message may wait; give back the others at once."""
        token, now = rows[0].token, clock.now()
        sent = [row for row in rows if row.id not in missing]
        until = now + retry_policy.RELAY_LEASE
        leases.extend(connection, self._table, [row.id for row in sent], until=until, token=token)
        if missing:
            back = [{"row_id": row_id, "token": token, "due_at": now} for row_id in sorted(missing)]
            leases.release(connection, self._table, back)
        for row in sent:
            self._windows[row.group].out.add(row.id)


def _by_turns(groups: Sequence[Sequence[Handover]]) -> Iterator[Handover]:
    """Give one of each group, then the next of each, so that none stands behind all of another's."""
    return (row for turn in zip_longest(*groups) for row in turn if row is not None)

"""Lanes: the tasks that wait for each webhook, how many may be under way, and whose turn it is.

First comes one lane, then all lanes of a pass, then the webhooks that are open.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Optional, Protocol, TypeVar

from sqlalchemy import Connection, Row, bindparam, select

from guestbook.lib.retry_policy import PAUSE_AFTER
from guestbook.outbound import delivery_tasks
from guestbook.storage.column_types import UtcTime
from guestbook.storage.models import FIRST_DUE, Delivery, Webhook

START_CAP = 2  # requests at once to a webhook without a success yet; each success allows one more
START_WINDOW = 16  # rows claimed ahead for such a webhook
MAX_WINDOW = 384  # rows


class Result(Protocol):
    """What a lane needs to know of an attempt."""

    unreachable: bool
    host_limit: str | None  # This limit of the host stopped the request.

    @property
    def ok(self) -> bool:
        """Whether the receiver has the delivery."""

    @property
    def answered(self) -> bool:
        """Whether the receiver answered, with success or without."""

    @property
    def holds_lane(self) -> bool:
        """Whether the webhook's other tasks must wait."""


T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Lane(Generic[T]):
    """The tasks that wait for one webhook, and how many of them may be under way at once."""

    tasks: deque[T] = field(default_factory=deque)
    cap: int = START_CAP  # requests at once
    in_flight: int = 0
    unreachable: int = 0  # requests in a row that failed to connect or timed out
    answered_before: bool = False  # An attempt was answered in an earlier pass.
    proven: bool = False  # The last attempt in this pass was answered.
    on_hold: bool = False  # Nothing is started.
    hold_is_stored: bool = False  # The database has the reason too, so claims respect it.
    listed_in: Optional["Lanes[T]"] = field(default=None, repr=False)  # the list of `ReadyLanes`
    finished: int = 0  # So many ended since the last claim.
    window: int = START_WINDOW  # rows claimed ahead

    @classmethod
    def opened(cls, cap_limit: int, unreachable: int, answered_before: bool) -> "Lane[T]":
        """Return a new lane. It sends little until the first success, or a single probe if unreachable."""
        cap = 1 if unreachable else min(START_CAP, cap_limit)
        return cls(cap=cap, unreachable=min(unreachable, PAUSE_AFTER - 1), answered_before=answered_before)

    @property
    def unproven_in_flight(self) -> int:
        """How many requests are under way that may take a whole time-out."""
        return 0 if self.proven else self.in_flight

    def may_start(self) -> bool:
        """Whether a thread may take a task from here now."""
        return bool(self.tasks) and self.in_flight < self.cap and not self.on_hold

    def note(self, result: Result, cap_limit: int) -> None:
        """Learn from a result before the database does: a bad webhook must not cost a second time-out."""
        self.in_flight -= 1
        if result.host_limit:
            return  # That says nothing about the webhook.
        self.finished += 1
        self.cap = min(self.cap + 1, cap_limit) if result.ok else 1
        if result.answered:
            self.proven, self.unreachable = True, 0
        elif result.unreachable:
            self.proven, self.unreachable = False, self.unreachable + 1
        if result.holds_lane or self.unreachable >= PAUSE_AFTER:
            self.on_hold, self.hold_is_stored = True, False

    def reopen(self, unreachable: int) -> None:
        """End the hold. A single request probes the webhook, which so many could not reach in a row."""
        self.on_hold, self.cap = False, 1
        self.unreachable = min(unreachable, PAUSE_AFTER - 1)
        self.proven = self.proven and not unreachable

    def room(self) -> int:
        """Return how many more rows to claim for this webhook.

        The window follows the webhook's speed: twice what it finished since the last claim, plus twice its
        cap. So a fast webhook does not run dry between two claims, and a slow one keeps few rows leased. The
        window shrinks by half at most, and is filled when half empty, so that each claim is worth its cost.

            finished 100, cap 8:  window 216   |##### 90 wait #####|........ room 126 ........|  claim 126
                                               |########### 150 wait ###########|..room 66....|  claim none
        """
        if self.on_hold and not self.hold_is_stored:
            return 0  # The database does not know of the hold yet.
        self.window = min(max(2 * self.finished + 2 * self.cap, self.window // 2), MAX_WINDOW)
        self.finished = 0
        room = self.window - len(self.tasks)
        return room if room >= self.window // 2 else 0


Lanes = OrderedDict[Lane[T], None]  # In the order of their turns; any leaves in constant time.


class ReadyLanes(Generic[T]):
    """The ready lanes of a worker pool, used under its lock. To start or end a task takes constant time."""

    def __init__(self) -> None:
        self._answered_before: Lanes[T] = OrderedDict()
        self._untried: Lanes[T] = OrderedDict()
        self._in_doubt: Lanes[T] = OrderedDict()
        self._proven: Lanes[T] = OrderedDict()
        self._unproven = 0  # requests under way to unproven lanes
        # With a single thread, on the monotonic clock:
        self._unproven_since: float | None = None
        self._proven_until = 0.0

    def place(self, lane: Lane[T]) -> None:
        """Put a lane last in the list of its kind, unless it is there; in none if it may start nothing."""
        lanes = self._kind_of(lane) if lane.may_start() else None
        if lanes is not lane.listed_in:
            if lane.listed_in is not None:
                del lane.listed_in[lane]
            if lanes is not None:
                lanes[lane] = None
            lane.listed_in = lanes

    def start(self, threads: int) -> tuple[Lane[T], T] | None:
        """Take a task from the lane whose turn it is, and put the lane behind the others.

        The newest untried lane comes first, so that it does not wait for all that hang before it.
        None when nothing waits, or all that waits has its share of so many threads.
        """
        while (turn := self._turn(threads)) is not None:
            lane, _ = turn.popitem(last=turn is self._untried)
            lane.listed_in = None
            if lane.may_start():  # Else it was held, or its tasks were taken back.
                task = lane.tasks.popleft()
                lane.in_flight += 1
                self._unproven += not lane.proven
                self._unproven_since = time.monotonic() if threads == 1 and not lane.proven else None
                self.place(lane)
                return lane, task
        return None

    def has_turn(self, threads: int) -> bool:
        """Whether a thread would probably find a task."""
        return self._turn(threads) is not None

    def any_may_start(self) -> bool:
        """Whether a lane has a task that may start once there is a thread."""
        lists = self._answered_before, self._untried, self._in_doubt, self._proven
        return any(lane.may_start() for lanes in lists for lane in lanes)

    def note(self, lane: Lane[T], result: Result, cap_limit: int) -> None:
        """Note a result in its lane. While the lane is unproven, all that is under way to it counts."""
        before = lane.unproven_in_flight
        lane.note(result, cap_limit)
        self._unproven += lane.unproven_in_flight - before
        if self._unproven_since is not None and not lane.proven:
            self._proven_until = 2 * time.monotonic() - self._unproven_since
        self.place(lane)

    def reopen(self, lane: Lane[T], unreachable: int) -> None:
        """End the hold of a lane."""
        before = lane.unproven_in_flight
        lane.reopen(unreachable)
        self._unproven += lane.unproven_in_flight - before
        self.place(lane)

    def _kind_of(self, lane: Lane[T]) -> Lanes[T]:
        if lane.proven:
            return self._proven
        if lane.unreachable or lane.in_flight:
            return self._in_doubt
        return self._answered_before if lane.answered_before else self._untried

    def _turn(self, threads: int) -> Lanes[T] | None:
        """Return the list to take the next lane from. Each kind may use one thread, however few there are."""
        if threads == 1 and self._proven and time.monotonic() < self._proven_until:
            return self._proven
        if self._answered_before and self._unproven < max(1, threads - threads // 16):
            return self._answered_before
        if self._untried and self._unproven < max(1, threads - max(1, threads // 4)):
            return self._untried
        if self._in_doubt and self._unproven < max(1, threads // 2):
            return self._in_doubt
        return self._proven or None


def open_ids(connection: Connection, now: datetime) -> Sequence[str]:
    """Return the ids of those that are neither disabled, paused nor pulled."""
    return connection.scalars(_OPEN, {"now": now}).all()


def open_with_due(connection: Connection, now: datetime) -> Sequence[Row[Any]]:
    """Return the open ones that have something due, with `RECEIVER_COLUMNS` and their health."""
    return connection.execute(_WITH_DUE, {"now": now}).all()


def open_among(connection: Connection, webhook_ids: Collection[str], now: datetime) -> Sequence[Row[Any]]:
    """Return the open ones of these, with the same columns."""
    if not webhook_ids:
        return ()
    return connection.execute(_OPEN_ROWS.where(Webhook.id.in_(webhook_ids)), {"now": now}).all()


# Made once: to make them takes longer than to run them.
_NOW: Any = bindparam("now", type_=UtcTime)
_OPEN = select(Webhook.id).where(Webhook.open_at(_NOW))
# Whether the receiver has answered before: the newest delivery that has ended tells, for nearly all webhooks.
_BY_DUE = "FORCE INDEX (deliveries_by_due)"  # Else MariaDB reads those of all webhooks.
_ANSWERED_BEFORE = (
    select(Delivery.last_status_code.is_not(None))
    .where(Delivery.webhook_id == Webhook.id, Delivery.due_at.is_(None))
    .order_by(Delivery.due_at.desc(), Delivery.id.desc())
    .limit(1)
    .with_hint(Delivery, _BY_DUE, "mysql")
    .with_hint(Delivery, _BY_DUE, "mariadb")
    .scalar_subquery()
    .label("answered_before")
)
_COLUMNS = *delivery_tasks.RECEIVER_COLUMNS, Webhook.unreachable_in_a_row, Webhook.rate, _ANSWERED_BEFORE
_OPEN_ROWS = select(*_COLUMNS).where(Webhook.open_at(_NOW))
_WITH_DUE = _OPEN_ROWS.where(FIRST_DUE <= _NOW)

"""The rows of one message, and what a worker's next transaction has to do for several of them."""

import math
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection

from guestbook.background.celery.messages import Handover
from guestbook.lib import clock
from guestbook.outbound.tasks import DeliveryTask, Outcome
from guestbook.queue import leases
from guestbook.storage.models import DELIVERIES


class WorkerEnds(Exception):
    """The worker was asked to end before it began this message."""


@dataclass(slots=True, eq=False)
class Batch:
    """The rows of one message."""

    handed: Sequence[Handover]
    left: int = 0  # rows that this worker has taken over and not yet recorded
    taken_at: float = math.inf  # on the monotonic clock
    ended: "Future[None]" = field(default_factory=Future)

    def fail(self, error: Exception) -> None:
        """Let the message come again, or show what is wrong with it."""
        if not self.ended.done():
            self.ended.set_exception(error)

    def let_go(self) -> None:
        """End the message before its rows. Their leases are ours, so it would do nothing if it came again."""
        if not self.ended.done():
            self.ended.set_result(None)

    def end(self, rows: int = 0) -> None:
        """Note that so many rows are recorded; the last one ends the batch."""
        self.left -= rows
        if not self.left:
            self.let_go()


@dataclass(slots=True)
class Transaction:
    """What the next transaction of a worker has to do."""

    outcomes: list[Outcome] = field(default_factory=list)
    back: list[tuple[DeliveryTask, timedelta]] = field(default_factory=list)  # to be due so much later
    batches: list[Batch] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.outcomes or self.back or self.batches)

    @property
    def tasks(self) -> list[DeliveryTask]:
        """Return the tasks that end with it."""
        return [*(outcome.task for outcome in self.outcomes), *(task for task, _ in self.back)]

    @property
    def parts(self) -> "list[Transaction]":
        """Return the same as many small transactions."""
        outcomes = [Transaction([one]) for one in self.outcomes]
        back = [Transaction(back=[one]) for one in self.back]
        return [*outcomes, *back, *(Transaction(batches=[one]) for one in self.batches)]

    def release(self, connection: Connection) -> None:
        """Give back rows whose tasks no thread has started."""
        now = clock.now()
        rows = [{"row_id": task.id, "token": task.token, "due_at": now + wait} for task, wait in self.back]
        if rows:
            leases.release(connection, DELIVERIES, rows, was_begun=False)

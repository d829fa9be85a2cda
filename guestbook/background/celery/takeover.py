"""Take rows over from the relay: they get a lease of this worker's own, and the message's token is void."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from guestbook.background.celery.messages import Handover
from guestbook.lib import clock, ids, retry_policy
from guestbook.outbound import open_webhooks, tasks
from guestbook.outbound.rate_limiter import Budget, RateLimiter, Slot
from guestbook.outbound.receivers import Receivers
from guestbook.outbound.tasks import DeliveryTask, Outcome, Receiver
from guestbook.outbound.worker_pool import WorkerPool
from guestbook.queue import leases
from guestbook.settings import Settings
from guestbook.storage.models import DELIVERIES

Pool = WorkerPool[DeliveryTask, Outcome]


@dataclass(slots=True)
class TakenOver:
    """The tasks of one transaction."""

    tasks: dict[Handover, DeliveryTask] = field(default_factory=dict)
    webhooks: Mapping[str, Row[Any]] = field(default_factory=dict)  # by id

    def load(self, pool: Pool) -> None:
        """Put the tasks into the lanes of their webhooks."""
        lanes: defaultdict[str, list[DeliveryTask]] = defaultdict(list)
        for task in self.tasks.values():
            lanes[task.receiver.webhook_id].append(task)
        for webhook_id, some in lanes.items():
            row = self.webhooks[webhook_id]
            answered = bool(row.answered_before)
            pool.load(webhook_id, some, unreachable=row.unreachable_in_a_row, answered_before=answered)


class Takeover:
    """Makes tasks of rows that were handed over, for one worker pool."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self.lease = retry_policy.lease(settings.timeout)  # in which to send
        self._pool = pool
        self._skew = timedelta() if settings.on_sqlite else leases.CLOCK_SKEW
        self._receivers = Receivers(settings.keyring)
        self.rates = RateLimiter()

    def take(self, connection: Connection, handed: Collection[Handover], lease_end: float) -> TakenOver:
        """Lease the rows that are still under their tokens and may be sent, and release the others.

        The lease ends then, on the monotonic clock.
        """
        now = clock.now()
        rows = leases.handed_over(connection, DELIVERIES, handed, tasks.HANDED_OVER_COLUMNS)
        self._pool.hold_all_but(open_webhooks.open_ids(connection, now))
        found = open_webhooks.among(connection, {row.webhook_id for row in rows}, now)
        webhooks = {row.id: row for row in self._receivers.readable(connection, found, now)}
        budgets = self.rates.open(connection, [row.id for row in webhooks.values() if row.rate])
        looked_at = [(row, *_wait(webhooks.get(row.webhook_id), budgets)) for row in rows]
        kept = [(row, slot) for row, wait, slot in looked_at if wait is None]
        _release(connection, [(row, wait) for row, wait, _ in looked_at if wait is not None])
        self.rates.store(connection, budgets)
        token, until = f"worker.{ids.new()}", now + self.lease + self._skew
        if kept:
            leases.take_over(connection, DELIVERIES, [row.id for row, _ in kept], until=until, token=token)
        taken = TakenOver(webhooks=webhooks)
        current = {webhook_id: self._receiver(row, now) for webhook_id, row in webhooks.items()}
        for row, slot in kept:
            task = tasks.delivery_task(row, token, lease_end, current[row.webhook_id], slot, until)
            taken.tasks[Handover(row.id, row.claimed_by)] = task
        return taken

    def _receiver(self, row: Row[Any], now: datetime) -> Receiver:
        receiver, has_changed = self._receivers.of(row, now)
        if has_changed:
            self._pool.change(row.id, lambda task: replace(task, receiver=receiver))
        return receiver


def _release(connection: Connection, waits: Sequence[tuple[Row[Any], timedelta]]) -> None:
    now = clock.now()
    back = [{"row_id": row.id, "token": row.claimed_by, "due_at": now + wait} for row, wait in waits]
    if back:
        leases.release(connection, DELIVERIES, back)


def _wait(webhook: Row[Any] | None, budgets: Mapping[str, Budget]) -> tuple[timedelta | None, Slot | None]:
    """Return how long a delivery must wait, or None to send it; and the slot of a limited webhook."""
    if webhook is None:
        return timedelta(), None  # it was disabled or paused: the relay leaves it alone
    if not webhook.rate:
        return None, None
    budget = budgets.get(webhook.id)
    if budget is None:
        return timedelta(), None  # another worker counts just now
    if not budget.log.room:
        return timedelta(seconds=budget.log.opens_in), None
    return None, budget.take(1)[0]

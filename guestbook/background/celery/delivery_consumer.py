"""What a worker does with a message of a delivery: take the row over, send it as a pass would, record it."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, select
from sqlalchemy.exc import DBAPIError

from guestbook.background.celery.concurrency import ConcurrencyLimit
from guestbook.background.celery.group_commit import GroupCommit
from guestbook.background.celery.messages import Handover
from guestbook.lib import clock, ids, resource_limits, retry_policy
from guestbook.outbound import receivers, recorder, sender, tasks
from guestbook.outbound.mail import MailSender
from guestbook.outbound.rate_limiter import Budget, RateLimiter, Slot
from guestbook.outbound.receivers import Receivers
from guestbook.outbound.tally import Tally
from guestbook.outbound.tasks import DeliveryTask, Outcome
from guestbook.queue import leases
from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage.models import DELIVERIES, Webhook

WAIT_WHEN_BUSY = timedelta(seconds=2)  # until a delivery is published again whose webhook has no free slot
WAIT_AFTER_FAULT = timedelta(seconds=30)  # the same after a fault of our own machine or proxy
DATABASE_FILES = 45  # that the engine's pool may open on SQLite: three for each connection

log = logging.getLogger(__name__)


class DeliveryConsumer:
    """One for all threads of a worker."""

    def __init__(self, engine: Engine, settings: Settings, threads: int) -> None:
        self._engine = engine
        self._settings = settings
        self._lease = retry_policy.lease(settings.timeout)  # in which to send
        self._skew = timedelta() if settings.on_sqlite else leases.CLOCK_SKEW
        resource_limits.bound_arenas()
        room = resource_limits.room(threads, files=DATABASE_FILES)
        self._host_limit = threading.Semaphore(max(1, room.threads))  # requests at once
        self._webhook_limit = ConcurrencyLimit(min(threads, max(1, room.threads)))
        self._receivers = Receivers(settings.keyring)
        self._rates = RateLimiter()
        transport = sender.transport(settings)
        transport.limit(connections=room.connections, lookups=room.threads if room.limit else None)
        self._sender = sender.Sender(
            transport, timeout=settings.timeout, base_url=settings.base_url, mail=MailSender.of(settings)
        )
        # One commit for each delivery would be the most that a database does, so threads share them.
        self._commits: GroupCommit[Handover | Outcome, DeliveryTask | None] = GroupCommit(self._commit)

    def deliver(self, handover: Handover) -> None:
        """Send the delivery if it is still leased under the token."""
        task = self._commits.submit(handover)
        if task:
            self._commits.submit(self._send(task))

    def _send(self, task: DeliveryTask) -> Outcome:
        outcome = self._attempt(task)
        if outcome.started_at is None:  # nothing was sent; the row's due time is the end of the relay's lease
            wait = WAIT_AFTER_FAULT if outcome.is_local_error or outcome.host_limit else WAIT_WHEN_BUSY
            outcome.task = replace(task, due_at=clock.now() + wait)
        return outcome

    def _attempt(self, task: DeliveryTask) -> Outcome:
        webhook_id = task.receiver.webhook_id
        if not self._webhook_limit.acquire(webhook_id, task.id):
            return Outcome(task)
        try:
            with self._host_limit:
                return self._sender.attempt(task)
        finally:
            self._webhook_limit.release(webhook_id, task.id)

    def _commit(self, requests: Sequence[Handover | Outcome]) -> Sequence[DeliveryTask | Exception | None]:
        """Record the outcomes and take over the rows in one transaction, or each alone when one is faulty."""
        try:
            tally, tasks = database.write_with_retry(
                self._engine, lambda connection: self._write(connection, requests)
            )
        except DBAPIError as error:
            if len(requests) == 1 or database.is_away(error):
                raise
            return [self._commit_alone(request) for request in requests]
        self._rates.committed()
        _log(tally)
        return tasks

    def _commit_alone(self, request: Handover | Outcome) -> DeliveryTask | Exception | None:
        try:
            return self._commit([request])[0]
        except DBAPIError as error:
            return error

    def _write(
        self, connection: Connection, requests: Sequence[Handover | Outcome]
    ) -> tuple[Tally, list[DeliveryTask | None]]:
        """Return what was recorded, and for each request the task to send, or None."""
        outcomes = [request for request in requests if isinstance(request, Outcome)]
        tally = recorder.record(connection, outcomes, self._settings)
        taken = self._take_over(connection, {one for one in requests if isinstance(one, Handover)})
        return tally, [taken.pop(one, None) if isinstance(one, Handover) else None for one in requests]

    def _take_over(self, connection: Connection, handed: set[Handover]) -> dict[Handover, DeliveryTask]:
        """Lease the rows that are still under their tokens and may be sent; return their tasks."""
        now, lease_end = clock.now(), time.monotonic() + self._lease.total_seconds()
        rows = leases.handed_over(connection, DELIVERIES, handed) if handed else []
        found = _open_webhooks(connection, {row.webhook_id for row in rows}, now)
        webhooks = {row.id: row for row in self._receivers.readable(connection, found, now)}
        budgets = self._rates.open(connection, [row.id for row in webhooks.values() if row.rate])
        waits = [self._wait(webhooks.get(row.webhook_id), budgets) for row in rows]
        back = [
            {"row_id": row.id, "token": row.claimed_by, "due_at": now + wait}
            for row, (wait, _) in zip(rows, waits, strict=True)
            if wait is not None
        ]
        if back:
            leases.release(connection, DELIVERIES, back)
        kept = {row: slot for row, (wait, slot) in zip(rows, waits, strict=True) if wait is None}
        token = f"worker.{ids.new()}"
        until = now + self._lease + self._skew
        leases.take_over(connection, DELIVERIES, [row.id for row in kept], until=until, token=token)
        self._rates.store(connection, budgets)
        taken = {}
        for row, slot in kept.items():
            receiver, _ = self._receivers.of(webhooks[row.webhook_id], now)
            task = tasks.delivery_task(row, token, lease_end, receiver, slot)
            taken[Handover(row.id, row.claimed_by)] = task
        return taken

    def _wait(
        self, webhook: Row[Any] | None, budgets: Mapping[str, Budget]
    ) -> tuple[timedelta | None, Slot | None]:
        """Return how long a delivery must wait, or None to send it; and the slot of a limited webhook."""
        if webhook is None:
            return timedelta(), None  # it was disabled or paused: the relay leaves it alone
        if self._webhook_limit.is_stuck(webhook.id):
            return WAIT_WHEN_BUSY, None
        if not webhook.rate:
            return None, None
        budget = budgets.get(webhook.id)
        if budget is None:
            return timedelta(), None  # another worker counts just now
        if not budget.log.room:
            return timedelta(seconds=budget.log.opens_in), None
        return None, budget.take(1)[0]


def _open_webhooks(connection: Connection, webhook_ids: set[str], now: datetime) -> Sequence[Row[Any]]:
    """Return those webhooks that may be sent to now."""
    if not webhook_ids:
        return ()
    query: Any = select(*receivers.RECEIVER_COLUMNS, Webhook.rate)
    query = query.where(Webhook.id.in_(webhook_ids), Webhook.open_at(now))
    return connection.execute(query).all()


def _log(tally: Tally) -> None:
    for line, fields in tally.log_lines:
        log.info(line, extra=fields)
    for line in tally.disabled:
        log.warning(line)
    if tally.host_limit:
        log.warning("This host limits %s: what could not be sent is tried again.", tally.host_limit)
    if tally.local_error:
        log.error(tally.local_error)

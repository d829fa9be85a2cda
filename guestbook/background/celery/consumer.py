"""What a worker does with a message: take the row over, do it as a pass would, record it."""

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from guestbook.background.celery.concurrency import Gate
from guestbook.background.celery.group_commit import Together
from guestbook.inbound.outcome_counts import Counts
from guestbook.inbound.processor import Inbox
from guestbook.lib import clock, ids, resource_limits, retry_policy
from guestbook.outbound import receivers, recorder, sender, tasks
from guestbook.outbound.receivers import Receivers
from guestbook.outbound.tally import Tally
from guestbook.outbound.tasks import DeliveryTask, Outcome
from guestbook.queue import leases
from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage.models import DELIVERIES, Webhook

GIVE_BACK = timedelta(seconds=2)  # until a delivery is published again whose webhook has its share of threads
AFTER_FAULT = timedelta(seconds=30)  # of our own machine or proxy, the same
DATABASE_FILES = 45  # of all connections that the engine's pool may open on SQLite, three for each
TOKEN = re.compile(r"[\w.]{1,64}", re.ASCII)


class Handed(NamedTuple):
    """A row, and the token under which the relay has handed it over."""

    id: str
    token: str


class Hands:
    """One for all threads of a worker."""

    def __init__(self, engine: Engine, settings: Settings, threads: int) -> None:
        self._engine = engine
        self._settings = settings
        self._lease = retry_policy.lease(settings.timeout)  # in which to send
        self._skew = timedelta() if settings.on_sqlite else leases.CLOCK_SKEW
        resource_limits.bound_arenas()
        room = resource_limits.room(threads, files=DATABASE_FILES)
        self._slots = threading.Semaphore(max(1, room.threads))  # requests that the host allows at once
        self._gate = Gate(min(threads, max(1, room.threads)))
        self._receivers = Receivers()
        transport = sender.transport(settings)
        transport.limit(connections=room.connections, lookups=room.threads if room.limit else None)
        self._sender = sender.Sender(transport, timeout=settings.timeout, base_url=settings.base_url)
        self._inbox = Inbox(engine, settings)
        # A commit for each delivery would be the most that a database does: threads share them.
        self._desk: Together[Handed | Outcome, DeliveryTask | Tally | None] = Together(self._settle)

    def deliver(self, delivery_id: object, token: object) -> Tally:
        """Send the delivery if it is still under the token; return what came of it."""
        if not _are_good(delivery_id, token):
            return Tally()
        task = self._desk.ask(Handed(str(delivery_id), str(token)))
        if not isinstance(task, DeliveryTask):
            return Tally()
        tally = self._desk.ask(self._send(task))
        assert isinstance(tally, Tally)
        return tally

    def _send(self, task: DeliveryTask) -> Outcome:
        outcome = self._attempt(task)
        if outcome.started_at is None:  # the row's own due time was the end of the relay's lease
            wait = AFTER_FAULT if outcome.is_local_error or outcome.host_limit else GIVE_BACK
            outcome.task = replace(task, due_at=clock.now() + wait)
        return outcome

    def _attempt(self, task: DeliveryTask) -> Outcome:
        webhook_id = task.receiver.webhook_id
        if not self._gate.enter(webhook_id, task.id):
            return Outcome(task)
        try:
            with self._slots:
                return self._sender.attempt(task)
        finally:
            self._gate.leave(webhook_id, task.id)

    def process(self, event_id: object, token: object) -> Counts:
        """Work through the inbound event if it is still under the token; return what came of it."""
        return self._inbox.work_on(str(event_id), str(token)) if _are_good(event_id, token) else Counts()

    def _settle(self, asks: Sequence[Handed | Outcome]) -> Sequence[DeliveryTask | Tally | Exception | None]:
        """Record the outcomes and take over the rows, in one transaction; what is wrong fails alone."""
        try:
            return database.insist(self._engine, partial(self._write, asks))
        except DBAPIError as error:
            if len(asks) == 1 or database.is_away(error):
                raise
        answers: list[DeliveryTask | Tally | Exception | None] = []
        for ask in asks:
            try:
                answers += self._settle([ask])
            except DBAPIError as error:
                answers.append(error)
        return answers

    def _write(
        self, asks: Sequence[Handed | Outcome], connection: Connection
    ) -> list[DeliveryTask | Tally | None]:
        tally = recorder.record(connection, [ask for ask in asks if isinstance(ask, Outcome)], self._settings)
        taken = self._take_over(connection, [ask for ask in asks if isinstance(ask, Handed)])
        tallies = iter([tally])  # one of the threads tells of it
        return [
            taken.pop((ask.id, ask.token), None) if isinstance(ask, Handed) else next(tallies, Tally())
            for ask in asks
        ]

    def _take_over(
        self, connection: Connection, handed: Sequence[Handed]
    ) -> dict[tuple[str, str], DeliveryTask]:
        """Return the tasks of those that are still under their tokens and may be sent."""
        if not handed:
            return {}
        now, lease_end = clock.now(), time.monotonic() + self._lease.total_seconds()
        rows = leases.handed_over(connection, DELIVERIES, {(one.id, one.token) for one in handed})
        open_now = Webhook.id.in_({row.webhook_id for row in rows}), Webhook.open_at(now)
        webhooks = {row.id: row for row in connection.execute(_webhooks().where(*open_now))}
        kept, back = [], []
        for row in rows:
            if row.webhook_id in webhooks and not self._gate.is_stuck(row.webhook_id):
                kept.append(row)
            else:
                due_at = now + GIVE_BACK if row.webhook_id in webhooks else now
                back.append({"row_id": row.id, "token": row.claimed_by, "due_at": due_at})
        if back:
            leases.release(connection, DELIVERIES, back)
        token = f"worker.{ids.new()}"
        row_ids = [row.id for row in kept]
        until = now + self._lease + self._skew
        leases.take_over(connection, DELIVERIES, row_ids, until=until, token=token)
        return {
            (row.id, row.claimed_by): tasks.delivery_task(
                row, token, lease_end, self._receivers.of(webhooks[row.webhook_id], now)[0]
            )
            for row in kept
        }


def _webhooks() -> Any:
    return select(*receivers.COLUMNS)


def _are_good(row_id: object, token: object) -> bool:
    """Whether a message can mean a row: anybody who may use the broker can put anything into it."""
    return (
        isinstance(row_id, str)
        and isinstance(token, str)
        and bool(ids.ID.fullmatch(row_id) and TOKEN.fullmatch(token))
    )

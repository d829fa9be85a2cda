"""Work on messages of deliveries. All messages of a worker share one worker pool, as in a pass:

    message ──deliver──▶ take over ──▶ tasks ──▶ worker pool ──attempt──▶ outcomes ──record──▶ end
                       └─ one transaction ─┘                                     └─ the next ─┘

A thread of our own takes rows over and records outcomes, in the same transactions. A message ends when its
rows are taken over: from then on it would do nothing if it came again. Celery's threads wait for that, each
with one message. A kill at any point loses nothing: the leases run out, and an outcome counts only under its
own lease. `Takeover` comes first.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from queue import SimpleQueue
from typing import Any

from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from guestbook.background.celery.messages import Handover
from guestbook.inbound.inbox import Inbox
from guestbook.lib import clock, current_process, ids, retry_policy
from guestbook.lib.current_process import StopFlag
from guestbook.outbound import attempt_recorder, attempt_sender, delivery_tasks, visitor_mail
from guestbook.outbound.attempt_recorder import Tally
from guestbook.outbound.delivery_dispatcher import ClaimedTasks
from guestbook.outbound.delivery_tasks import DeliveryTask, Outcome, Receivers
from guestbook.outbound.rate_and_time_limits import Budget, RateLimiter, Slot
from guestbook.outbound.worker_pool import MAX_UNRECORDED, WorkerPool
from guestbook.queue import claims, deleted_comments
from guestbook.settings import Settings
from guestbook.storage import database, database_errors
from guestbook.storage.models import DELIVERIES

Pool = WorkerPool[DeliveryTask, Outcome]


class Takeover:
    """Makes tasks of rows that were handed over, for one worker pool."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self.lease = retry_policy.lease(settings.timeout)
        self._pool = pool
        self._skew = timedelta() if settings.on_sqlite else claims.CLOCK_SKEW
        self._receivers = Receivers(settings.keyring, self._pool.change)
        self.rates = RateLimiter()

    def take(self, connection: Connection, handed: Collection[Handover]) -> list[ClaimedTasks]:
        """Lease the rows that are still under their tokens and may be sent, and release the others."""
        now, lease_end = clock.now(), time.monotonic() + self.lease.total_seconds()
        rows = claims.handed_over(connection, DELIVERIES, handed, delivery_tasks.HANDED_OVER_COLUMNS)
        self._pool.hold_all_but(delivery_tasks.open_ids(connection, now))
        found = delivery_tasks.open_among(connection, {row.webhook_id for row in rows}, now)
        webhooks = {row.id: row for row in self._receivers.readable(connection, found, now)}
        budgets = self.rates.open(connection, [row.id for row in webhooks.values() if row.rate])
        looked_at = [(row, *_wait(webhooks.get(row.webhook_id), budgets)) for row in rows]
        kept = [(row, slot) for row, wait, slot in looked_at if wait is None]
        if back := [
            {"row_id": row.id, "token": row.claimed_by, "due_at": now + wait}
            for row, wait, _ in looked_at
            if wait is not None
        ]:
            claims.release(connection, DELIVERIES, back)
        self.rates.store(connection, budgets)
        token, ends = f"worker.{ids.new()}", now + self.lease
        if row_ids := [row.id for row, _ in kept]:
            claims.take_over(connection, DELIVERIES, row_ids, until=ends + self._skew, token=token)
        addressed = partial(visitor_mail.addressed, connection)
        tasks: defaultdict[str, list[DeliveryTask]] = defaultdict(list)
        for row, slot in kept:
            terms = token, lease_end, self._receivers.of(webhooks[row.webhook_id], now), slot, ends
            tasks[row.webhook_id].append(delivery_tasks.delivery_task(row, *terms))
        return [
            (row.id, addressed(tasks[row.id]), row.unreachable_in_a_row, bool(row.answered_before))
            for row in webhooks.values()
            if row.id in tasks
        ]


def _wait(webhook: Row[Any] | None, budgets: Mapping[str, Budget]) -> tuple[timedelta | None, Slot | None]:
    """Return how long a delivery must wait, or None to send it; and the slot of a limited webhook."""
    if webhook is None:
        return timedelta(), None  # It was disabled or paused: the relay leaves it alone.
    if not webhook.rate:
        return None, None
    budget = budgets.get(webhook.id)
    if budget is None:
        return timedelta(), None  # Another worker counts just now.
    if not budget.log.room:
        return timedelta(seconds=budget.log.opens_in), None
    return None, budget.take(1)[0]


class WorkerEnds(Exception):
    """The worker was asked to end before it began this message."""


@dataclass(slots=True, eq=False)
class Batch:
    """The rows of one message, and its end."""

    handed: Sequence[Handover]
    ended: "Future[None]" = field(default_factory=Future)


TRANSACTION_PAUSE = 0.02  # seconds between two transactions: outcomes gather, and the web can write
PAUSE_AFTER_FAULT = 1.0  # seconds, while the database cannot be used
POOL_LOOK_INTERVAL = 0.25  # seconds between two looks for tasks that should leave the pool
START_WITHIN = 2.0  # seconds; another worker may have a task that has waited longer for a thread
WAIT_WHEN_BUSY = timedelta(seconds=2)  # for a delivery for which there was no thread
WAIT_AFTER_FAULT = timedelta(seconds=30)  # for one after a fault of our own machine or proxy
WAITING_PER_THREAD = 4  # A kill holds so many up until their leases run out, and the rest of a message.
UNRECORDED_PER_THREAD = 12  # A kill can make us send so many a second time.
DATABASE_FILES = 45  # The engine's pool may open so many on SQLite: three for each connection.

log = logging.getLogger(__name__)


class DeliveryConsumer:
    """One for all messages of a process. It ends with the process."""

    def __init__(self, engine: Engine, settings: Settings, threads: int, stop: StopFlag) -> None:
        self._engine = engine
        self._settings = settings
        self._stop = stop
        current_process.bound_arenas()
        room = current_process.room(threads, files=DATABASE_FILES)
        self._threads = max(1, room.threads)
        transport = attempt_sender.transport(settings)
        transport.limit(connections=room.connections, lookups=room.threads if room.limit else None)
        one = attempt_sender.Sender(transport, settings, own=Inbox(engine, settings).take_delivery)
        unrecorded = min(MAX_UNRECORDED, UNRECORDED_PER_THREAD * threads)
        self._pool = WorkerPool(one.attempt, threads, unrecorded)
        self._pool.limit(self._threads)
        self._takeover = Takeover(settings, self._pool)
        self._came: SimpleQueue[Batch] = SimpleQueue()
        self._lock = threading.Lock()  # of a tick, for in the middle of one an outcome may be at no place
        # The next transaction takes these over, records these, and lets these be due so much later.
        self._batches: list[Batch] = []
        self._outcomes: list[Outcome] = []
        self._back: list[tuple[DeliveryTask, timedelta]] = []
        self._look_at = 0.0  # on the monotonic clock
        threading.Thread(target=self._run, name="delivery consumer", daemon=True).start()

    def deliver(self, handed: Sequence[Handover]) -> None:
        """Take over the deliveries that are still leased under their tokens. They are sent later."""
        batch = Batch(handed)
        self._came.put(batch)
        batch.ended.result()

    def finish(self) -> None:
        """Wait until what is under way is recorded, as long as that may take: the worker ends."""
        until = time.monotonic() + self._settings.timeout + database.RETRY_FOR
        while self._is_busy() and time.monotonic() < until:
            time.sleep(TRANSACTION_PAUSE)

    def _is_busy(self) -> bool:
        with self._lock:
            return bool(self._batches or self._outcomes or self._back or self._pool.busy)

    def _run(self) -> None:
        with current_process.batch_on_one_core():  # The threads that this one starts keep to the core too.
            while True:
                if not self._is_busy():
                    self._batches.append(self._came.get())
                pause = TRANSACTION_PAUSE
                with self._lock:
                    try:
                        self._tick()
                    except Exception as error:
                        self._fail(error)
                        pause = PAUSE_AFTER_FAULT
                time.sleep(pause)

    def _tick(self) -> None:
        """Record outcomes and take over what has come, in one transaction; load it into the pool."""
        self._outcomes += map(_postponed, self._pool.collect())
        self._take_back()
        held = sum(len(batch.handed) for batch in self._batches)
        room = WAITING_PER_THREAD * self._threads - self._pool.waiting - held
        while room > 0 and not self._came.empty():
            self._batches.append(self._came.get())
            room -= len(self._batches[-1].handed)
        if self._stop.is_set():
            self._end_batches(WorkerEnds())
        if not (self._batches or self._outcomes or self._back):
            return
        with self._pool.still():
            try:
                self._commit()
            except Exception:
                self._give_back(self._pool.take_back(), WAIT_WHEN_BUSY)  # It could not be recorded.
                raise

    def _take_back(self) -> None:
        """Take from the pool what it should not start any more."""
        if self._stop.is_set():
            self._give_back(self._pool.take_back(), timedelta())
        self._give_back(self._pool.take_back(on_hold_only=True), WAIT_WHEN_BUSY)
        if time.monotonic() >= self._look_at and self._pool.busy:
            self._look_at = time.monotonic() + POOL_LOOK_INTERVAL
            with database.read(self._engine) as connection:
                since = clock.now() - self._takeover.lease - claims.CLOCK_SKEW
                erased = deleted_comments.lately(connection, since)
            if erased:  # Their comments were deleted for good meanwhile.
                self._pool.take_back(lambda task: task.id in erased)
            late = time.monotonic() + self._takeover.lease.total_seconds() - START_WITHIN
            self._give_back(self._pool.take_back(lambda task: task.lease_end < late), WAIT_WHEN_BUSY)
            self._pool.size = self._threads  # It uses fewer after a fault of this host.

    def _commit(self) -> None:
        try:
            tally, taken = database.write_with_retry(self._engine, self._write)
        except DBAPIError as error:
            if not self._outcomes or not database_errors.is_refusal(error):
                raise
            _log(attempt_recorder.record_each(self._engine, self._outcomes, self._settings))
            self._outcomes = []  # The rest is for the next transaction.
            return
        self._takeover.rates.committed()
        self._outcomes, self._back = [], []
        for tasks in taken:
            self._pool.load(*tasks)
        self._end_batches()
        _log(tally)

    def _write(self, connection: Connection) -> tuple[Tally, list[ClaimedTasks]]:
        tally, now = attempt_recorder.record(connection, self._outcomes, self._settings), clock.now()
        back = [{"row_id": task.id, "token": task.token, "due_at": now + wait} for task, wait in self._back]
        if back:
            claims.release(connection, DELIVERIES, back, was_begun=False)
        handed = {one for batch in self._batches for one in batch.handed}
        return tally, self._takeover.take(connection, handed)

    def _fail(self, error: Exception) -> None:
        """Let messages come again while the database cannot be used. Outcomes are recorded later.

        A mistake of ours would come again with the same outcomes, so their leases run out.
        """
        log.debug("A transaction of the worker failed: %r", error)
        if self._outcomes and not isinstance(error, SQLAlchemyError):
            log.error(attempt_recorder.NOT_RECORDED, exc_info=error)
            self._outcomes = []
        self._end_batches(error)
        self._give_back(self._pool.take_back(), WAIT_WHEN_BUSY)

    def _end_batches(self, error: Exception | None = None) -> None:
        """End the messages: well, or let them come again, or show what is wrong with them."""
        for batch in self._batches:
            if error:
                batch.ended.set_exception(error)
            else:
                batch.ended.set_result(None)
        self._batches = []

    def _give_back(self, tasks: Iterable[DeliveryTask], wait: timedelta) -> None:
        for task in tasks:
            if task.slot:
                task.slot.was_missed = True  # It does not count against the webhook's rate limit.
            self._back.append((task, wait))


def _postponed(outcome: Outcome) -> Outcome:
    """If nothing was sent, let the relay publish it later. Until now the due time is the end of a lease."""
    if outcome.started_at is None:
        wait = WAIT_AFTER_FAULT if outcome.is_local_error or outcome.host_limit else WAIT_WHEN_BUSY
        outcome.task = replace(outcome.task, due_at=clock.now() + wait)
    return outcome


def _log(tally: Tally) -> None:
    attempt_recorder.log_outcomes(log, tally)
    for line in tally.disabled:
        log.warning(line)
    if tally.host_limit:
        log.warning("This host limits %s: what could not be sent is tried again.", tally.host_limit)
    if tally.local_error:
        log.error(tally.local_error)

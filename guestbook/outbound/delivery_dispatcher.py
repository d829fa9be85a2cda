"""Send what is due. A delivery's whole path, in order, is this file:

    due delivery ──claim──▶ task ──load──▶ worker pool ──attempt──▶ outcome ──record──▶ final, or due later
    └── tick n: one transaction ──┘        └─── sender threads ───┘       └── tick n + 1, before it claims ─┘

The main thread alone uses the database, in ticks. The sender threads start no request during a tick. With a
concurrency of one there are none: the main thread sends between the ticks.
A kill at any point loses nothing: a lease runs out by itself, and an outcome counts only under its own lease.
`worker_pool` tells how a task waits for a thread, `attempt_sender` how the request is made. `TickPace` and
`HostLimits`, which come first, keep ticks short and threads within the limits of the host.
"""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import DBAPIError

from guestbook.lib import clock, current_process, ids, retry_policy
from guestbook.lib.current_process import OtherWork, StopFlag, TimeShares
from guestbook.outbound import attempt_recorder, attempt_sender, delivery_tasks, visitor_mail
from guestbook.outbound.attempt_recorder import Tally
from guestbook.outbound.attempt_sender import OwnReceiver
from guestbook.outbound.delivery_tasks import DeliveryTask, Outcome, Receivers
from guestbook.outbound.rate_and_time_limits import LEAST_TIME, NO_LIMIT, Budget, RateLimiter, TimeLimit
from guestbook.outbound.worker_pool import SingleWorker, WorkerPool
from guestbook.queue import claims, clock_repair, deleted_comments
from guestbook.queue.poller import Poller
from guestbook.settings import Settings
from guestbook.storage import database, database_errors
from guestbook.storage.models import DELIVERIES
from guestbook.transport.http_request_and_redirects import Transport

TICK_PAUSE = 0.02  # seconds between two ticks
LEAST_PAUSE = 0.01  # seconds between two ticks, even if there is nothing to send: others want to write, too
STEP_BACK = 2.0  # If others write to the file: send on for so many times a tick's lock.
SMALL_TICK = 128  # rows that a tick records or claims while visitors write
SMALL_FOR = 0.2  # seconds after a visitor has written


class TickPace:
    """The pace of one pass, which lasts `until` that moment of the monotonic clock."""

    def __init__(self, poller: Poller, pool: WorkerPool[Any, Any], until: float) -> None:
        self._poller, self._until = poller, until
        self._pool = pool
        self._newest = poller.newest_from_visitors()
        self._small_until = 0.0  # on the monotonic clock

    def let_threads_send(self, stop: StopFlag, *, owed: float, outcome_wait: float, tick_took: float) -> None:
        """Wait until the next tick.

        The threads may send for the usual time, or longer if our work is `owed` so many seconds. Then an
        outcome is waited for, for `outcome_wait` seconds at most. Without threads each wait sends something.
        """
        self._poller.mark()
        newest, now = self._poller.newest_from_visitors(), time.monotonic()
        if newest != self._newest:
            self._newest, self._small_until = newest, now + SMALL_FOR
        self._pool.limit_ticks(SMALL_TICK if now < self._small_until else None)
        stop.wait(LEAST_PAUSE)
        self._pool.wait_while_sending(max(TICK_PAUSE, owed) - LEAST_PAUSE)
        if self._poller.others_wrote() and not stop.is_set() and time.monotonic() < self._until:
            self._pool.wait_while_sending(STEP_BACK * tick_took)
        if not stop.is_set() and time.monotonic() < self._until:
            self._pool.wait(outcome_wait)


SLOWED = (
    "this host limits {0}, so the pass used {1} of {2} threads. Nothing is lost. "
    "With --concurrency {1} cron does not say so again."
)
NO_ROOM = "This host allows not a single request: it limits {}."


class HostLimits:
    """Keeps a worker pool and its transport within the limits, and names the limit that was met."""

    def __init__(self, pool: WorkerPool[DeliveryTask, Outcome], transport: Transport) -> None:
        self._pool = pool
        self._transport = transport
        self._wished = pool.size
        self._limit: str | None = None
        self._free_reserve = current_process.reserve_memory()

    def fit(self) -> None:
        """Use what the host allows beside the database, whose files must be open by now."""
        current_process.bound_arenas()
        room = current_process.room(self._pool.size)
        self._limit = room.limit
        self._pool.limit(room.threads)
        lookups = room.threads if room.limit else None
        self._transport.limit(connections=room.connections, lookups=lookups)

    def free_memory(self) -> None:
        """Give up what the pass can do without, after a MemoryError."""
        self._limit = current_process.MEMORY_LIMIT
        self._free_reserve()
        self._pool.limit(max(1, self._pool.threads // 2))
        self._pool.was_short = True
        self._transport.limit(connections=0)

    def no_room(self, met: str | None) -> str | None:
        """Return a sentence when not a single thread is left. `met` is the limit that stopped a request."""
        return None if self._pool.size else NO_ROOM.format(self._name(met))

    def slowed(self, met: str | None) -> str | None:
        """Return a sentence when the pass used fewer threads than it could have used."""
        if not self._pool.was_short:
            return None
        return SLOWED.format(self._name(met), self._pool.size, self._wished)

    def close(self) -> None:
        """Free what a pass holds."""
        self._transport.close()
        self._free_reserve()

    def _name(self, met: str | None) -> str:
        refused = current_process.why_no_thread() if self._pool.was_refused else None
        return met or refused or self._limit or current_process.THREAD_LIMIT


RESULT_WAIT = 0.25  # seconds to wait for an outcome before the next look for new work
ERASURE_LOOK = 0.5  # seconds between two looks for claimed deliveries whose comment was deleted for good
log = logging.getLogger(__name__)


# What a tick has claimed for a webhook, as the pool loads it: its id, its tasks, how many requests in a row
# failed to connect or timed out, and whether its receiver answered the last delivery that has ended.
ClaimedTasks = tuple[str, list[DeliveryTask], int, bool]


class Dispatcher:
    """One drain of the outbox."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        concurrency: int,
        limit: TimeLimit = NO_LIMIT,
        own: OwnReceiver = lambda *_: None,
    ) -> None:
        threads = concurrency > 1
        transport = attempt_sender.transport(settings, threads=threads)
        one = attempt_sender.Sender(transport, settings, threads=threads, limit=limit, own=own).attempt
        self.pool: WorkerPool[DeliveryTask, Outcome] = (
            WorkerPool(one, concurrency) if threads else SingleWorker(one)
        )
        self._limit = limit
        self.tally = Tally()
        self._engine = engine
        self._settings = settings
        self._host = HostLimits(self.pool, transport)
        self._receivers = Receivers(settings.keyring, self.pool.change)
        self._rates = RateLimiter()
        self._lease = retry_policy.lease(settings.timeout)  # So much time is left to send.
        self._skew = timedelta() if settings.on_sqlite else claims.CLOCK_SKEW
        self._name, self._ticks = ids.new(), 0
        timing = settings.timeout, settings.retry_schedule
        self._repair = clock_repair.PeriodicRepair(engine, *timing, but=self._name)
        self._unrecorded: list[Outcome] = []
        self._is_lost = False  # The database cannot be used, so nothing more can be recorded.
        self._tick_took = 0.0  # seconds for which the last tick held the write lock
        self._look_for_erased_at = 0.0  # on the monotonic clock

    def run(
        self,
        *,
        until: float,
        stay: bool,
        stop: StopFlag,
        after_tick: Callable[[], object] = lambda: None,
        beside: OtherWork | None = None,
    ) -> Tally:
        """Send until nothing is due, or with `stay` until that moment of the monotonic clock.

        At the end nothing is left leased, unless the database cannot be used: then the leases run out.
        """
        until = min(until, self._limit.until - LEAST_TIME)
        try:
            with Poller(self._engine, but=self._limit.skipped, wakes=stay) as poller:
                self._host.fit()
                self._loop(poller, until, stay, stop, after_tick, TimeShares(beside))
        finally:
            try:
                if not self._is_lost:
                    self._wind_up()
            finally:
                self._host.close()
        if not self.tally.local_error:
            self.tally.host_limit = self._host.slowed(self.tally.host_limit)
        return self.tally

    def _loop(
        self,
        poller: Poller,
        until: float,
        stay: bool,
        stop: StopFlag,
        after_tick: Callable[[], object],
        shares: TimeShares,
    ) -> None:
        is_woken, pace = False, TickPace(poller, self.pool, until)
        while not stop.is_set() and time.monotonic() < until and not self.tally.local_error:
            self._repair.look()
            self._tick(poller, is_woken=is_woken)
            if is_woken and self.pool.busy:
                self.pool.wait(TICK_PAUSE)  # A thread has the core alone, to send what woke us.
            is_woken = False
            after_tick()
            more = shares.share_time(until, stop)
            if self.pool.busy or self._unrecorded:
                pace.let_threads_send(
                    stop, owed=shares.owed, outcome_wait=0 if more else RESULT_WAIT, tick_took=self._tick_took
                )
            elif more or self._has_work(poller):
                stop.wait(TICK_PAUSE)  # The other work has more, or another pass has leased these.
            elif stay or (self._limit is NO_LIMIT and poller.slot_opens_soon()):
                is_woken = poller.rest(until, stop, other_due=shares.next_due, ends=self._repair.is_due)
            else:
                break  # Nothing is due.

    def _has_work(self, poller: Poller) -> bool:
        return poller.anything_due(clock.now()) or self._rates.is_behind

    def _tick(self, poller: Poller | None, *, is_woken: bool = False) -> None:
        """Take the outcomes, record them and claim what is due in one transaction, load it into the pool.

        Without a poller nothing is claimed. If we were just woken, something is due.
        """
        self._drop_erased()
        self._unrecorded += self.pool.collect()
        self._unrecorded += [Outcome(task) for task in self.pool.take_back(on_hold_only=True)]
        if not self._unrecorded and not is_woken and not (poller and self._has_work(poller)):
            return  # An idle look takes no write lock.
        with self.pool.still():
            try:
                claimed = self._record_and_claim(claiming=poller is not None)
            except BaseException:
                self._is_lost = True
                self.pool.take_back()  # Nothing is sent that could not be recorded.
                raise
            self._unrecorded = []
            self._rates.committed()
            for tasks in claimed:
                self.pool.load(*tasks)
        self.tally.local_error = self.tally.local_error or self._host.no_room(self.tally.host_limit)

    def _record_and_claim(self, *, claiming: bool) -> list[ClaimedTasks]:
        """Commit the tick's transaction. When memory is short, or a row is refused, only record."""
        commit = partial(database.write_with_retry, self._engine)
        try:
            began, tally, claimed = commit(lambda at: self._transaction(at, claiming))
        except MemoryError:
            self._host.free_memory()
            began, tally, claimed = commit(lambda at: self._transaction(at, False))
        except DBAPIError as error:
            if not self._unrecorded or not database_errors.is_refusal(error):
                raise
            began, claimed = time.monotonic(), []
            tally = attempt_recorder.record_each(self._engine, self._unrecorded, self._settings)
        self._tick_took = time.monotonic() - began
        self.tally.add(tally)
        attempt_recorder.log_outcomes(log, tally)
        return claimed

    def _transaction(self, connection: Connection, claiming: bool) -> tuple[float, Tally, list[ClaimedTasks]]:
        """Do a tick's transaction. It may run twice: what the first run recorded is not ours any more."""
        began = time.monotonic()
        tally = attempt_recorder.record(connection, self._unrecorded, self._settings)
        return began, tally, self.claim(connection) if claiming else []

    def claim(self, connection: Connection) -> list[ClaimedTasks]:
        """Lease what is due, as much as the lanes have room for, and make tasks of it."""
        now = clock.now()
        self._ticks += 1
        token = f"{self._name}.{self._ticks}"  # An outcome counts while its row still has it.
        self.pool.hold_all_but(delivery_tasks.open_ids(connection, now))
        found = self._receivers.readable(connection, delivery_tasks.open_with_due(connection, now), now)
        webhooks = self._limit.choose(found)
        first = self._ticks % len(webhooks) if webhooks else 0  # Each webhook is served first in turn.
        webhooks = [*webhooks[first:], *webhooks[:first]]
        rooms = self.pool.rooms([row.id for row in webhooks])
        budgets = self._rates.open(connection, [row.id for row in webhooks if row.rate])
        lease_end, ends = time.monotonic() + self._lease.total_seconds(), now + self._lease
        limits = {row.id: self._most(row, rooms[row.id], budgets.get(row.id)) for row in webhooks}
        terms: Any = {"most": self.pool.most_claimed, "now": now, "until": ends + self._skew, "token": token}
        leased = claims.take(connection, DELIVERIES, delivery_tasks.TASK_COLUMNS, limits, **terms)
        claimed = []
        for row in webhooks:
            if row.id in leased:
                due, to, budget = leased[row.id], self._receivers.of(row, now), budgets.get(row.id)
                slots = budget.take(len(due)) if budget else [None] * len(due)
                make = partial(delivery_tasks.delivery_task, token=token, receiver=to, leased_until=ends)
                made = [
                    make(one, lease_end=lease_end, slot=slot) for one, slot in zip(due, slots, strict=True)
                ]
                made = visitor_mail.addressed(connection, made)
                claimed.append((row.id, made, row.unreachable_in_a_row, bool(row.answered_before)))
        self._rates.store(connection, budgets)
        return claimed

    def _most(self, row: Row[Any], room: int, budget: Budget | None) -> int:
        """Return how many rows of a webhook to claim, if its lane has that much room."""
        if row.rate:  # What would wait in the lane would use its slot late.
            room = min(room, budget.log.room, self.pool.startable(row.id)) if budget else 0
        is_probe = row.unreachable_in_a_row >= retry_policy.PAUSE_AFTER  # Its pause has ended: try it once.
        return min(1, room) if is_probe else room

    def _drop_erased(self) -> None:
        """Drop claimed deliveries whose comment was deleted for good meanwhile."""
        if not self.pool.busy or time.monotonic() < self._look_for_erased_at:
            return  # Nothing is claimed, or the last look is recent.
        self._look_for_erased_at = time.monotonic() + ERASURE_LOOK
        with database.read(self._engine) as connection:
            erased = deleted_comments.lately(connection, clock.now() - self._lease - claims.CLOCK_SKEW)
        if erased:
            self.pool.take_back(lambda task: task.id in erased)

    def _wind_up(self) -> None:
        """Give back at once what has not started, then wait for what has, and record it."""
        self._unrecorded += [Outcome(task) for task in self.pool.take_back()]
        self._tick(None)
        while self.pool.under_way:
            self.pool.wait(RESULT_WAIT)
            self._tick(None)

"""Send what is due: ticks of one write transaction each, between which the worker pool sends.

The main thread alone owns the database. A tick records what finished, claims what is next and
keeps the webhooks' health, all in one transaction, so that the web gets its turn in between.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from guestbook.lib import clock, ids, resource_limits, retry_policy
from guestbook.lib.retry_policy import PAUSE_AFTER
from guestbook.lib.stop_flag import StopFlag
from guestbook.lib.time_shares import OtherWork, TimeShares
from guestbook.outbound import receivers, recorder, sender, tasks
from guestbook.outbound.receivers import Receivers
from guestbook.outbound.recorder import Tally
from guestbook.outbound.tasks import DeliveryTask, Outcome, Receiver
from guestbook.outbound.worker_pool import WorkerPool
from guestbook.queue import clock_repair, erasure, leases
from guestbook.queue.poller import Poller
from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage.models import DELIVERIES, FIRST_DUE, Webhook

TICK = 0.02  # seconds between two write transactions: less starves the web on SQLite
STEP_BACK = 2.0  # times as long as a tick held the lock: left to visitors who write to the same file
SLOWED = (
    "this host limits {0}, so the pass used {1} of {2} threads. Nothing is lost. "
    "With --concurrency {1} cron does not say so again."
)
NO_ROOM = "This host allows not a single request: it limits {}."
ERASURE_LOOK = 0.5  # seconds between two looks whether a claimed delivery's comment was deleted for good
PROBE = 0.25  # seconds between two looks for new work while requests are under way
log = logging.getLogger(__name__)


class Dispatcher:
    """One drain of the outbox."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        concurrency: int,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._transport = sender.transport(settings)
        one = sender.Sender(self._transport, timeout=settings.timeout, base_url=settings.base_url)
        self._pool: WorkerPool[DeliveryTask, Outcome] = WorkerPool(one.attempt, concurrency)
        self._lease = retry_policy.lease(settings.timeout)  # in which to send
        self._skew = timedelta() if settings.on_sqlite else leases.CLOCK_SKEW  # of the hosts that share it
        self._name = ids.new()
        self._repair = clock_repair.PeriodicRepair(engine, settings, self._name)
        self._ticks = 0
        self._receivers = Receivers()
        self._unsaved: list[Outcome] = []
        self._lost = False
        self._asked = concurrency
        self._limit: str | None = None  # of the host, which allows fewer threads
        self._reserve = resource_limits.Reserve()
        self._held = 0.0  # seconds for which the last tick held the lock
        self._look_at = 0.0  # on the monotonic clock: when to look for erased deliveries
        self.tally = Tally()

    def run(
        self,
        *,
        until: float,
        stay: bool,
        stop: StopFlag,
        after_tick: Callable[[], None] | None = None,
        beside: OtherWork | None = None,
    ) -> Tally:
        """Send until nothing is due, or with `stay` until that moment of the monotonic clock.

        In the end nothing is left leased, unless the database is away: then the leases run out.
        """
        try:
            with Poller(self._engine) as watch:
                self._fit()
                self._loop(watch, until, stay, stop, after_tick, TimeShares(beside))
        finally:
            try:
                if not self._lost:
                    self._wind_up()
            finally:
                self._transport.close()
                self._reserve.give_up()
        if self._pool.held_back and not self.tally.fault:
            self.tally.limit = SLOWED.format(self._met(), self._pool.size, self._asked)
        return self.tally

    def _fit(self) -> None:
        """Use what the host allows beside the database, whose files are open by now: the pass has written."""
        resource_limits.bound_arenas()
        room = resource_limits.room(self._pool.size)
        self._limit = room.limit
        self._pool.limit(room.threads)
        lookups = room.threads if room.limit else None
        self._transport.limit(connections=room.connections, lookups=lookups)

    def _loop(
        self,
        watch: Poller,
        until: float,
        stay: bool,
        stop: StopFlag,
        after_tick: Callable[[], None] | None,
        shares: TimeShares,
    ) -> None:
        while not stop.is_set() and time.monotonic() < until and not self.tally.fault:
            self._repair.look()
            seen = watch.version()  # before the look, or what comes after it would be overslept
            self._tick(watch, claiming=True)
            if after_tick:
                after_tick()
            more = shares.give_turn(until, stop)
            if self._pool.busy or self._unsaved:
                self._let_the_pool_work(watch, stop, max(TICK, shares.owed), 0 if more else PROBE)
            elif more or watch.anything_due(clock.now()):
                stop.wait(TICK)  # there may be more; or another pass has it in hand
            elif stay:
                watch.rest(min(until, self._repair.next), stop, since=seen, wake_at=shares.next_due())
            else:
                break

    def _let_the_pool_work(self, watch: Poller, stop: StopFlag, at_least: float, at_most: float) -> None:
        watch.mark()
        stop.wait(at_least)
        if watch.others_wrote():
            stop.wait(STEP_BACK * self._held)
        if not stop.is_set():
            self._pool.wait(at_most)

    def _wind_up(self) -> None:
        """Give back at once what has not started, let finish what has, record it."""
        back = [Outcome(task) for task in self._pool.take_back(held_only=False)]
        self._unsaved.extend(back)
        self._tick(None, claiming=False)
        while self._pool.under_way:
            self._pool.wait(PROBE)
            self._tick(None, claiming=False)

    def _drop_erased(self) -> None:
        """Forget claimed deliveries whose comment was deleted for good meanwhile."""
        if not self._pool.busy or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + ERASURE_LOOK
        with self._engine.connect() as connection:
            erased = erasure.lately(connection, clock.now() - self._lease - leases.CLOCK_SKEW)
        if erased:
            self._pool.take_back(held_only=False, only=lambda task: task.id in erased)

    def _tick(self, watch: Poller | None, *, claiming: bool) -> None:
        self._drop_erased()
        self._unsaved.extend(self._pool.collect())
        self._unsaved.extend(Outcome(task) for task in self._pool.take_back(held_only=True))
        if not self._unsaved and not (claiming and watch and watch.anything_due(clock.now())):
            return  # an idle look takes no write lock
        with self._pool.still():
            try:
                claimed = self._settle(claiming)
            except BaseException:
                self._lost = True
                self._pool.take_back(held_only=False)  # nothing is sent that could not be recorded
                raise
            self._unsaved.clear()
            for row, work in claimed:
                self._pool.load(row.id, work, unreachable=row.unreachable_in_a_row)
        if not self._pool.size:
            self.tally.fault = NO_ROOM.format(self._met())

    def _settle(self, claiming: bool) -> list[tuple[Row[Any], list[DeliveryTask]]]:
        """Run the tick's transaction. It is safe to repeat: what it has recorded is not ours any more."""
        try:
            tally, claimed, began = database.insist(self._engine, partial(self._write, claiming))
        except MemoryError:
            self._make_room()
            tally, claimed, began = database.insist(self._engine, partial(self._write, False))
        self._held = time.monotonic() - began
        self.tally.add(tally)
        for line, fields in tally.story:
            log.info(line, extra=fields)
        return claimed

    def _make_room(self) -> None:
        self._limit = resource_limits.MEMORY
        self._reserve.give_up()
        self._pool.shrink()
        self._transport.limit(connections=0)

    def _met(self) -> str:
        """Return the limit of this host that was met."""
        refused = resource_limits.why_no_thread() if self._pool.refused else None
        return self.tally.limit or refused or self._limit or resource_limits.THREADS

    def _write(
        self, claiming: bool, connection: Connection
    ) -> tuple[Tally, list[tuple[Row[Any], list[DeliveryTask]]], float]:
        tally, began = Tally(), time.monotonic()
        recorder.outcomes(connection, self._unsaved, self._settings, tally)
        claimed = self._claim(connection) if claiming else []
        return tally, claimed, began

    def _claim(self, connection: Connection) -> list[tuple[Row[Any], list[DeliveryTask]]]:
        now = clock.now()
        self._ticks += 1
        token = f"{self._name}.{self._ticks}"
        self._pool.hold_all_but(connection.scalars(select(Webhook.id).where(Webhook.open_at(now))))
        webhooks = connection.execute(_open_webhooks(now)).all()
        first = self._ticks % len(webhooks) if webhooks else 0  # nobody is always the first to be served
        rooms = self._pool.rooms([row.id for row in webhooks])
        lease_end = time.monotonic() + self._lease.total_seconds()
        claimed, taken = [], []
        for row in (*webhooks[first:], *webhooks[:first]):
            limit = rooms[row.id] if row.unreachable_in_a_row < PAUSE_AFTER else min(1, rooms[row.id])
            if limit:
                among = DELIVERIES.c.webhook_id == row.id
                due = leases.claim(connection, DELIVERIES, among, now=now, limit=limit)
                taken += [one.id for one in due]
                to = self._receiver(row, now)
                claimed.append((row, [tasks.delivery_task(one, token, lease_end, to) for one in due]))
        until = now + self._lease + self._skew
        leases.lease(connection, DELIVERIES, taken, now=now, until=until, token=token)
        return claimed

    def _receiver(self, row: Row[Any], now: datetime) -> Receiver:
        to, is_other = self._receivers.of(row, now)
        if is_other:
            self._pool.change(row.id, lambda task: replace(task, receiver=to))
        return to


def _open_webhooks(now: datetime) -> Any:
    """Select the webhooks that may be sent to and have something due."""
    open_now = Webhook.open_at(now), now >= FIRST_DUE
    return select(*receivers.COLUMNS, Webhook.unreachable_in_a_row).where(*open_now)

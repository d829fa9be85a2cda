"""A pass: one run of the cron command, from its lock to its last line."""

import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, or_, select, update

from guestbook import clock, database, figures, ids, queue, retention, schedule
from guestbook.dispatch import Dispatch
from guestbook.inbox import worker
from guestbook.inbox.worker import Counts, Inbox
from guestbook.models import DELIVERIES, INBOUND, Delivery, InboundEvent, Pass, Source, Webhook
from guestbook.record import Tally
from guestbook.settings import Settings
from guestbook.watch import Stop

PRUNE_FOR = 1.0  # seconds that a pass spends on retention
STEADY_FOR = timedelta(days=2)  # without a gap as long in its passes, until a clock is believed
CLOCK_SLACK = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks of a pass."""

    max_seconds: float = 50
    stay: bool = False
    concurrency: int = 32
    inbox: bool = True
    outbox: bool = True
    housekeeping: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """What a pass has done in its two halves."""

    outbox: Tally
    inbox: Counts


def run(
    engine: Engine,
    settings: Settings,
    options: Options,
    *,
    narrate: Callable[[str], None] = lambda _line: None,
    after_tick: Callable[[Tally], None] | None = None,
) -> Report | None:
    """Do everything that is due; None when another pass holds the lock."""
    until = time.monotonic() + options.max_seconds
    with _lock(settings.data_dir / "pass.lock") as held, _stop_on_signals() as stop, _one_core():
        if not held:
            return None
        previous = _repair(engine, settings)
        number = _begin(engine)
        inbox = Inbox(engine, settings, narrate=narrate)
        dispatch = Dispatch(engine, settings, concurrency=options.concurrency, narrate=narrate)
        if options.inbox:
            inbox.drain(until=until, stop=stop)
        if options.outbox:
            tick = (lambda: after_tick(dispatch.tally)) if after_tick else None
            beside = inbox if options.inbox else None
            dispatch.run(until=until, stay=options.stay, stop=stop, after_tick=tick, beside=beside)
        if options.housekeeping and not stop.is_set() and _may_prune(engine, previous):
            figures.settle(engine, settings, clock.now())  # before the rows that it counts go
            retention.prune(engine, settings, until=min(until, time.monotonic() + PRUNE_FOR))
        _end(engine, number, dispatch.tally)
        return Report(dispatch.tally, inbox.counts)


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Say whether we alone hold the file. The kernel lets go of it on any death, so it is never stale.

    It only saves work: that no delivery is sent twice rests on the leases.
    """
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:  # some network drives have no locks
            pass
        yield True


@contextmanager
def _stop_on_signals() -> Iterator[Stop]:
    """Give a wish that SIGTERM and SIGINT set; a second signal ends the process by the default way."""
    stop = Stop()
    if current_thread() is not main_thread():
        yield stop
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep this pass on one core where the system can: handing the GIL between cores costs 30 to 40 %."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = sorted(os.sched_getaffinity(0))
    with suppress(OSError):  # some hosts forbid it
        os.sched_setaffinity(0, {cores[os.getpid() % len(cores)]})
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, cores)


def _repair(engine: Engine, settings: Settings) -> datetime | None:
    """Mend due times that a clock jump has left far in the future; return when the last pass started."""
    now = clock.now()
    with engine.connect() as connection:
        previous = connection.scalar(select(func.max(Pass.started_at)))
        # Only this host's passes tell of its clock: another's may be ahead of ours for ever.
        ours = connection.scalar(select(func.max(Pass.started_at)).where(Pass.host == _host()))
        went_back = ours is not None and ours > now + CLOCK_SLACK
        limits = _limits(settings, now, went_back)
        strange = connection.execute(_strange(limits)).first() or connection.execute(_odd(now)).first()
    if strange or went_back:
        with database.write(engine) as connection:
            _mend(connection, limits, now, went_back)
    return None if went_back else previous


@dataclass(frozen=True, slots=True)
class _Limits:
    leased: datetime
    untried: datetime
    waiting: datetime
    paused: datetime


def _limits(settings: Settings, now: datetime, went_back: bool) -> _Limits:
    """Return the latest moments that a lease, a first attempt, a retry and a pause can rightly name."""
    lease = now + schedule.lease(settings.timeout)
    if went_back:
        return _Limits(lease, now, now, now)
    farthest = now + schedule.longest_wait(settings.retry_schedule)
    return _Limits(lease, now + timedelta(seconds=settings.retry_schedule[0]), farthest, farthest)


def _strange(limits: _Limits) -> Any:
    """Select a webhook that has a row or a pause beyond the limits; by the index, webhook by webhook."""
    mine = select(Delivery.id).where(Delivery.webhook_id == Webhook.id)
    leased = mine.where(Delivery.due_at > limits.leased + queue.SKEW, Delivery.claimed_by.is_not(None))
    untried = mine.where(
        Delivery.due_at > limits.untried + queue.SKEW, Delivery.claimed_by.is_(None), Delivery.attempts == 0
    )
    waiting = mine.where(Delivery.due_at > limits.waiting + queue.SKEW)
    paused = Webhook.paused_until > limits.paused + queue.SKEW
    return select(Webhook.id).where(or_(leased.exists(), untried.exists(), waiting.exists(), paused))


def _odd(now: datetime) -> Any:
    """Select a source that has an inbound event beyond any lease: those are due at once, or not at all."""
    beyond = InboundEvent.due_at > now + worker.LEASE + queue.SKEW
    mine = select(InboundEvent.id).where(InboundEvent.source_id == Source.id, beyond)
    return select(Source.id).where(mine.exists())


def _mend(connection: Connection, limits: _Limits, now: datetime, went_back: bool) -> None:
    for webhook_id in connection.scalars(select(Webhook.id)).all():
        mine = DELIVERIES.c.webhook_id == webhook_id
        leased = mine & DELIVERIES.c.claimed_by.is_not(None)
        queue.repair(connection, DELIVERIES, leased, now=now, farthest=limits.leased)
        waiting = mine & DELIVERIES.c.claimed_by.is_(None)
        untried = waiting & (DELIVERIES.c.attempts == 0)
        queue.repair(connection, DELIVERIES, untried, now=now, farthest=limits.untried)
        queue.repair(connection, DELIVERIES, waiting, now=now, farthest=limits.waiting)
    for source_id in connection.scalars(select(Source.id)).all():
        mine = INBOUND.c.source_id == source_id
        queue.repair(connection, INBOUND, mine, now=now, farthest=now + worker.LEASE)
    paused = Webhook.paused_until > limits.paused + queue.SKEW
    connection.execute(update(Webhook).where(paused).values(paused_until=None))
    if went_back:  # or each coming pass would take the old ones for a sign of another jump
        mine = Pass.host == _host()
        connection.execute(update(Pass).where(Pass.started_at > now, mine).values(started_at=now))


def _may_prune(engine: Engine, previous: datetime | None) -> bool:
    """Whether passes have come for two days by this clock: one that jumped makes everything look old."""
    now = clock.now()
    if previous is None or now - previous >= STEADY_FOR:
        return False
    earlier = Pass.started_at.between(now - 2 * STEADY_FOR, now - STEADY_FOR)
    with engine.connect() as connection:
        return connection.scalar(select(Pass.id).where(earlier).limit(1)) is not None


def _begin(engine: Engine) -> str:
    number = ids.new()
    with database.write(engine) as connection:
        connection.execute(
            insert(Pass).values(
                id=number,
                started_at=clock.now(),
                host=_host(),
                processed=0,
                retried=0,
                failed=0,
            )
        )
    return number


def _end(engine: Engine, number: str, tally: Tally) -> None:
    done = {"processed": tally.processed, "retried": tally.retried, "failed": tally.failed}
    with database.write(engine) as connection:
        connection.execute(update(Pass).where(Pass.id == number).values(finished_at=clock.now(), **done))


def _host() -> str:
    return socket.gethostname()[:100]

"""A pass: one run of the cron command, from its lock to its last line."""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import current_thread, main_thread
from types import FrameType

from sqlalchemy import Engine, insert, select, update

from guestbook.background import retention
from guestbook.inbound.outcome_counts import Counts
from guestbook.inbound.processor import Inbox
from guestbook.lib import clock, cpu_affinity, file_lock, host_name, ids
from guestbook.lib.stop_flag import StopFlag
from guestbook.outbound.dispatcher import Dispatcher
from guestbook.outbound.tally import Tally
from guestbook.queries import stats
from guestbook.queue import clock_repair
from guestbook.settings import Settings
from guestbook.storage import database, engine_setup, source_budget
from guestbook.storage.models import Pass

PRUNE_FOR = 1.0  # seconds that a pass spends on retention
PRUNE_LATE = 0.5  # the same when its time is over
STEADY_FOR = timedelta(days=2)  # without a gap as long in its passes, until a clock is believed
log = logging.getLogger(__name__)


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
    after_tick: Callable[[Tally], None] | None = None,
) -> Report | None:
    """Do everything that is due; None when another pass holds the lock."""
    with begun(engine, settings, options.max_seconds, housekeeping=options.housekeeping) as stage:
        if stage is None:
            log.info("Another pass is running; it does the work.")
            return None
        inbox = Inbox(engine, settings)
        dispatch = Dispatcher(engine, settings, concurrency=options.concurrency)
        if not options.outbox:
            inbox.drain(until=stage.until, stop=stage.stop)
        else:
            tick = (lambda: after_tick(dispatch.tally)) if after_tick else None
            beside = inbox if options.inbox else None
            stage.tally = dispatch.tally
            dispatch.run(
                until=stage.until, stay=options.stay, stop=stage.stop, after_tick=tick, beside=beside
            )
            if beside and dispatch.tally.local_error:  # it has nothing to do with what came in
                beside.drain(until=stage.until, stop=stage.stop)
    report = Report(dispatch.tally, inbox.counts)
    _log_figures(options, report)
    return report


def _log_figures(options: Options, report: Report) -> None:
    came, went = report.inbox, report.outbox
    failed = came.failed.total() + came.refused
    if options.inbox and (came.processed or failed or not options.outbox):
        figures = {"processed": came.processed, "failed": failed}
        log.info("Inbox: processed %(processed)d, failed %(failed)d.", figures, extra=figures)
    if options.outbox:
        figures = {"processed": went.processed, "retried": went.retried, "given_up": went.failed}
        words = "Processed %(processed)d, to be retried %(retried)d, given up %(given_up)d."
        log.info(words, figures, extra=figures)


@dataclass(slots=True)
class Stage:
    """What the work of a pass is given, and leaves behind."""

    until: float  # of the monotonic clock
    stop: StopFlag
    tally: Tally = field(default_factory=Tally)


@contextmanager
def begun(
    engine: Engine, settings: Settings, max_seconds: float, *, housekeeping: bool, lock: str = file_lock.PASS
) -> Iterator[Stage | None]:
    """Lay around the work what every pass does; None when another one holds that lock of the data folder."""
    until = time.monotonic() + max_seconds
    with (
        file_lock.taken(settings.data_dir / lock) as held,
        _stop_on_signals() as stop,
        cpu_affinity.one_core(),
    ):
        if not held:
            yield None
            return
        previous = clock_repair.repair(engine, settings)
        number = _begin(engine)
        stage = Stage(until, stop)
        yield stage
        if housekeeping and not stop.is_set() and _may_prune(engine, previous):
            stats.settle(engine, settings, clock.now())  # before the rows that it counts go
            now = time.monotonic()  # what stays to the end of its time must tidy up too
            retention.prune(engine, settings, until=max(min(until, now + PRUNE_FOR), now + PRUNE_LATE))
        source_budget.count_again(engine)  # proven and removed events have left room
        _end(engine, number, stage.tally)
        engine_setup.clear_wal(engine)


@contextmanager
def _stop_on_signals() -> Iterator[StopFlag]:
    """Give a wish that SIGTERM and SIGINT set; a second signal ends the process by the default way."""
    stop = StopFlag()
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
                host=host_name.of_this_host(),
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

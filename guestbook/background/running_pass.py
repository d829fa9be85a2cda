"""What a pass and a relay do around their work: lock, signals, clock repair, pruning, the row of the pass."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine, insert, select, update

from guestbook.background import retention
from guestbook.lib import clock, cpu_affinity, host_name, ids, pass_lock, stop_flag
from guestbook.lib.stop_flag import StopFlag
from guestbook.outbound.tally import Tally
from guestbook.queries import outcomes
from guestbook.queue import clock_repair
from guestbook.settings import Settings
from guestbook.storage import database, engine_setup, source_budget
from guestbook.storage.models import Pass

PRUNE_TIME = 1.0  # seconds that a pass may prune
LATE_PRUNE_TIME = 0.5  # the same when the time of the pass is over
STEADY_TIME = timedelta(days=2)  # that passes must have come without such a gap, until we believe the clock


@dataclass(slots=True)
class RunningPass:
    """How long a pass may work, and what it has done."""

    until: float  # of the monotonic clock
    stop: StopFlag
    tally: Tally = field(default_factory=Tally)


@contextmanager
def opened(
    engine: Engine, settings: Settings, max_seconds: float, *, housekeeping: bool, lock: str = pass_lock.PASS
) -> Iterator[RunningPass | None]:
    """Begin a pass, and end it after the work; None when another process holds the data folder's lock."""
    until = time.monotonic() + max_seconds
    with (
        pass_lock.taken(settings.data_dir / lock) as held,
        stop_flag.set_by((signal.SIGTERM, signal.SIGINT), second_ends=True) as stop,
        cpu_affinity.one_core(),
    ):
        if not held:
            yield None
            return
        previous = clock_repair.repair(engine, settings.timeout, settings.retry_schedule)
        pass_id = insert_pass(engine)
        running = RunningPass(until, stop)
        yield running
        if housekeeping and not stop.is_set() and may_prune(engine, previous):
            # Before retention deletes the rows that it counts.
            outcomes.record_days(engine, settings.keep_processed_days, clock.now())
            now = time.monotonic()  # a pass that stays to the end of its time prunes too
            retention.prune(engine, settings, until=max(min(until, now + PRUNE_TIME), now + LATE_PRUNE_TIME))
        source_budget.recount(engine)  # verified and deleted events have left room
        _finish(engine, pass_id, running.tally)
        engine_setup.clear_wal(engine)


def may_prune(engine: Engine, previous: datetime | None) -> bool:
    """Whether passes have come for two days by this clock. After a jump of the clock everything looks old."""
    now = clock.now()
    if previous is None or now - previous >= STEADY_TIME:
        return False
    earlier = Pass.started_at.between(now - 2 * STEADY_TIME, now - STEADY_TIME)
    with engine.connect() as connection:
        return connection.scalar(select(Pass.id).where(earlier).limit(1)) is not None


def insert_pass(engine: Engine) -> str:
    """Store a pass that starts now, and return its id."""
    pass_id, host = ids.new(), host_name.of_this_host()
    with database.write(engine) as connection:
        connection.execute(insert(Pass).values(id=pass_id, started_at=clock.now(), host=host))
    return pass_id


def _finish(engine: Engine, pass_id: str, tally: Tally) -> None:
    counts = {"processed": tally.processed, "retried": tally.retried, "failed": tally.failed}
    with database.write(engine) as connection:
        connection.execute(update(Pass).where(Pass.id == pass_id).values(finished_at=clock.now(), **counts))

"""What a pass and a relay do around their work: lock, signals, clock repair, pruning, the row of the pass."""

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine

from guestbook.background import pass_record, pruning, reminders
from guestbook.lib import clock, cpu_affinity, pass_lock, stop_flag
from guestbook.lib.stop_flag import StopFlag
from guestbook.outbound.tally import Tally
from guestbook.queries import outcomes
from guestbook.queue import clock_repair
from guestbook.settings import Settings
from guestbook.storage import active_hosts, engine_setup, seen_facts, source_budget
from guestbook.storage.active_hosts import HostNote

log = logging.getLogger(__name__)

PRUNE_TIME = 1.0  # seconds that a pass may prune
LATE_PRUNE_TIME = 0.5  # the same when the time of the pass is over
SHORT_PRUNE_TIME = 0.1  # seconds for a pass inside a web request


@dataclass(slots=True)
class RunningPass:
    """How long a pass may work, and what it has done."""

    until: float  # of the monotonic clock
    stop: StopFlag
    host: HostNote  # keep it while the pass lasts
    tally: Tally = field(default_factory=Tally)


@contextmanager
def opened(
    engine: Engine,
    settings: Settings,
    max_seconds: float,
    *,
    housekeeping: bool,
    lock: str = pass_lock.PASS,
    in_request: bool = False,
) -> Iterator[RunningPass | None]:
    """Begin a pass, and end it after the work; None when another process holds the data folder's lock.

    Raises Refused while another host, which came first, uses the same SQLite file.
    """
    until, host = time.monotonic() + max_seconds, HostNote(settings, active_hosts.PASS)
    host.keep()
    with pass_lock.taken(settings.data_dir / lock) as held, _prepared_process(in_request) as stop:
        if not held:
            yield None
            return
        previous = clock_repair.repair(engine, settings.timeout, settings.retry_schedule)
        pass_record.require_room(engine)
        pass_id = pass_record.begin(engine)
        if housekeeping:
            reminders.remind(engine, settings)
        running = RunningPass(until, stop, host)
        yield running
        if housekeeping and not stop.is_set() and pass_record.may_prune(engine, previous):
            _tidy_up(engine, settings, _prune_end(until, in_request))
        source_budget.recount(engine)  # verified and deleted events have left room
        _finish(engine, settings, pass_id, running.tally)


def _finish(engine: Engine, settings: Settings, pass_id: str, tally: Tally) -> None:
    pass_record.finish(engine, pass_id, tally)
    if tally.host_limit:
        seen_facts.note(settings.data_dir, {seen_facts.HOST_LIMIT: tally.host_limit})
    engine_setup.clear_wal(engine)


@contextmanager
def _prepared_process(in_request: bool) -> Iterator[StopFlag]:
    """Catch signals and keep to one core, but not in a web request: there the process is the server's."""
    if in_request:
        yield StopFlag()
        return
    caught = stop_flag.set_by((signal.SIGTERM, signal.SIGINT), second_ends=True)
    with caught as stop, cpu_affinity.one_core():
        yield stop


def _tidy_up(engine: Engine, settings: Settings, until: float) -> None:
    # Before retention deletes the rows that it counts.
    outcomes.record_days(engine, settings.keep_processed_days, clock.now())
    pruning.prune(engine, settings, until=until)


def _prune_end(until: float, in_request: bool) -> float:
    """Return when to stop pruning: a pass that stays to the end of its time prunes too."""
    now = time.monotonic()
    return now + SHORT_PRUNE_TIME if in_request else max(min(until, now + PRUNE_TIME), now + LATE_PRUNE_TIME)

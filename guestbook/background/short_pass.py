"""A pass inside a web request, for hosts without cron. It starts no thread, and takes a few seconds at most.

It does and records the same as a pass of cron.py. It keeps the same lock, so the two never work side by side.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, func, select

from guestbook.background import cron, housekeeping
from guestbook.inbound.inbox import Counts, Inbox
from guestbook.lib import clock
from guestbook.outbound import lanes
from guestbook.outbound.attempt_recorder import Tally
from guestbook.outbound.dispatcher import Dispatcher
from guestbook.outbound.throttle import TimeLimit
from guestbook.settings import Settings
from guestbook.storage import database, engine_setup
from guestbook.storage.models import Pass

REST_AFTER_PASS = timedelta(minutes=1)  # after a pass, until the next one at the end of a request
HOUSEKEEPING_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ShortReport:
    """What a short pass has done."""

    outbox: Tally
    inbox: Counts
    seconds: float
    cut: frozenset[str]  # ids of webhooks whose receivers did not answer in this time
    has_more: bool  # something is still due


def run(
    settings: Settings, seconds: float, *, slow: frozenset[str] = frozenset(), skips_slow: bool = False
) -> ShortReport | None:
    """Do what is due within so many seconds; None when another pass holds the lock.

    `slow` are the webhooks that come last, or not at all. The database may wait half a second longer than
    the pass. Raises the database's errors.
    """
    began = time.monotonic()
    with (
        engine_setup.waiting(engine_setup.FOR_SHORT_PASSES),
        engine_setup.opened(settings) as engine,
        cron.opened_pass(engine, settings, seconds, housekeeping=True, in_request=True) as running,
    ):
        if running is None:
            return None
        # Not from the beginning: on a slow host the rest may take half a second, and nothing would be sent.
        limit = TimeLimit(time.monotonic() + seconds, slow, skips_slow)
        inbox = Inbox(engine, settings, threads=False, limit=limit)
        dispatcher = Dispatcher(engine, settings, concurrency=1, limit=limit)
        running.tally = dispatcher.tally
        dispatcher.run(until=running.until, stay=False, stop=running.stop, beside=inbox)
        inbox.close()
        has_more = _is_due(engine, settings, limit.skipped, clock.now())
    report = ShortReport(
        dispatcher.tally, inbox.counts, time.monotonic() - began, frozenset(limit.cut), has_more
    )
    housekeeping.log_warnings(report.outbox)
    return report


def wait_for_work(settings: Settings, *, skipped: frozenset[str] = frozenset()) -> timedelta | None:
    """Return how long to wait before a pass: nothing when something is due, None when nothing is.

    It only reads, and takes some milliseconds.
    """
    with engine_setup.waiting(engine_setup.FOR_SHORT_PASSES), engine_setup.opened(settings) as engine:
        now = clock.now()
        with database.read(engine) as connection:
            last = connection.scalar(select(func.max(Pass.started_at)).where(Pass.started_at <= now))
        if last and now - last < REST_AFTER_PASS:
            return last + REST_AFTER_PASS - now
        is_late = last is not None and now - last >= HOUSEKEEPING_EVERY
        return timedelta(0) if is_late or _is_due(engine, settings, skipped, now) else None


def _is_due(engine: Engine, settings: Settings, skipped: frozenset[str], now: datetime) -> bool:
    with database.read(engine) as connection:
        due = {row.id for row in lanes.open_with_due(connection, now)}
    return bool(due - skipped) or Inbox(engine, settings).anything_due(now) or housekeeping.are_due(engine)

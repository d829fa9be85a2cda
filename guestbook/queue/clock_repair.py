"""Fix due times that a clock jump has left far in the future, beyond any wait or lease."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, func, or_, select, update

from guestbook.lib import clock, host_name, retry_policy
from guestbook.queue import leases
from guestbook.storage import database
from guestbook.storage.models import DELIVERIES, INBOUND, Delivery, InboundEvent, Pass, Source, Webhook

Schedule = tuple[float, ...]

CLOCK_SLACK = timedelta(seconds=60)
NO_TOKEN = "-"  # no token begins like this
REPAIR_INTERVAL = 60.0  # seconds


class PeriodicRepair:
    """Fixes due times each minute of a pass, which may last a day and see the clock jump."""

    def __init__(self, engine: Engine, timeout: float, schedule: Schedule, but: str = NO_TOKEN) -> None:
        self._repair = partial(repair, engine, timeout, schedule, but=but)
        self._looked = time.monotonic(), clock.now()

    @property
    def next(self) -> float:
        """Return when to look again, on the monotonic clock."""
        return self._looked[0] + REPAIR_INTERVAL

    def look(self) -> None:
        """Fix due times if a minute has passed."""
        at, before = time.monotonic(), self._looked
        if at < before[0] + REPAIR_INTERVAL:
            return
        now = clock.now()
        self._looked = at, now
        back = now - before[1] < timedelta(seconds=at - before[0]) - CLOCK_SLACK
        self._repair(went_back=back)


def repair(
    engine: Engine, timeout: float, schedule: Schedule, *, went_back: bool = False, but: str = NO_TOKEN
) -> datetime | None:
    """Fix due times; return when the last pass started, or None when this host's clock went back.

    `timeout` and `schedule` are the settings of attempts. Leases under tokens that begin with `but`, those of
    the caller's own pass, stay as they are.
    """
    now = clock.now()
    with engine.connect() as connection:
        previous = connection.scalar(select(func.max(Pass.started_at)))
        # Only this host's passes show a jump of its clock: another host's clock may always be ahead.
        of_host = Pass.host == host_name.of_this_host()
        ours = connection.scalar(select(func.max(Pass.started_at)).where(of_host))
        went_back |= ours is not None and ours > now + CLOCK_SLACK
        limits = _limits(timeout, schedule, now, went_back)
        found = connection.execute(_wrong_webhooks(limits, but)).first()
        found = found or connection.execute(_wrong_sources(now)).first()
    if found or went_back:
        with database.write(engine) as connection:
            _fix(connection, limits, now, went_back, but)
    return None if went_back else previous


@dataclass(frozen=True, slots=True)
class _LatestTimes:
    leased: datetime
    untried: datetime
    waiting: datetime
    paused: datetime


def _limits(timeout: float, schedule: Schedule, now: datetime, went_back: bool) -> _LatestTimes:
    """Return the latest times that a lease, a first attempt, a retry and a pause can end."""
    lease = now + retry_policy.longest_lease(timeout) + leases.CLOCK_SKEW  # leases include it
    if went_back:
        return _LatestTimes(lease, now, now, now)
    farthest = now + retry_policy.longest_wait(schedule)
    # The comment.deleted of an erased comment waits until no request about the comment can be under way.
    first = max(timedelta(seconds=schedule[0]), retry_policy.lease(timeout))
    return _LatestTimes(lease, now + first, farthest, farthest)


def _wrong_webhooks(limits: _LatestTimes, but: str) -> Any:
    """Select webhooks that have a row or a pause beyond the limits; uses the index, webhook by webhook."""
    mine = select(Delivery.id).where(Delivery.webhook_id == Webhook.id)
    others = Delivery.claimed_by.not_like(f"{but}%")
    leased = mine.where(Delivery.due_at > limits.leased + leases.CLOCK_SKEW, others)
    free = Delivery.claimed_by.is_(None)
    untried = mine.where(Delivery.due_at > limits.untried + leases.CLOCK_SKEW, free, Delivery.attempts == 0)
    waiting = mine.where(Delivery.due_at > limits.waiting + leases.CLOCK_SKEW, or_(free, others))
    paused = Webhook.paused_until > limits.paused + leases.CLOCK_SKEW
    return select(Webhook.id).where(or_(leased.exists(), untried.exists(), waiting.exists(), paused))


def _wrong_sources(now: datetime) -> Any:
    """Select sources that have an inbound event beyond any lease: inbound events never wait otherwise."""
    beyond = InboundEvent.due_at > now + retry_policy.RELAY_LEASE + leases.CLOCK_SKEW
    mine = select(InboundEvent.id).where(InboundEvent.source_id == Source.id, beyond)
    return select(Source.id).where(mine.exists())


def _fix(connection: Connection, limits: _LatestTimes, now: datetime, went_back: bool, but: str) -> None:
    for webhook_id in connection.scalars(select(Webhook.id)).all():
        mine = DELIVERIES.c.webhook_id == webhook_id
        leased = mine & DELIVERIES.c.claimed_by.not_like(f"{but}%")
        leases.repair(connection, DELIVERIES, leased, now=now, farthest=limits.leased)
        waiting = mine & DELIVERIES.c.claimed_by.is_(None)
        untried = waiting & (DELIVERIES.c.attempts == 0)
        leases.repair(connection, DELIVERIES, untried, now=now, farthest=limits.untried)
        leases.repair(connection, DELIVERIES, waiting, now=now, farthest=limits.waiting)
    for source_id in connection.scalars(select(Source.id)).all():
        mine = INBOUND.c.source_id == source_id
        leases.repair(connection, INBOUND, mine, now=now, farthest=now + retry_policy.RELAY_LEASE)
    paused = Webhook.paused_until > limits.paused + leases.CLOCK_SKEW
    connection.execute(update(Webhook).where(paused).values(paused_until=None))
    if went_back:  # or each later pass would take the old rows for another jump
        mine = Pass.host == host_name.of_this_host()
        connection.execute(update(Pass).where(Pass.started_at > now, mine).values(started_at=now))

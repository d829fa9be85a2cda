"""Mend due times that a clock jump has left far in the future: no wait and no lease can explain them."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, func, or_, select, update

from guestbook.lib import clock, host_name, retry_policy
from guestbook.queue import leases
from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage.models import DELIVERIES, INBOUND, Delivery, InboundEvent, Pass, Source, Webhook

CLOCK_SLACK = timedelta(seconds=60)
NO_TOKEN = "-"  # nobody's begins so
EVERY = 60.0  # seconds between two looks of a pass


class PeriodicRepair:
    """Mends due times within a pass, which may last a day: its start alone sees no jump that comes later."""

    def __init__(self, engine: Engine, settings: Settings, token: str = NO_TOKEN) -> None:
        self._engine = engine
        self._settings = settings
        self._token = token  # begins those under which the pass itself sends
        self._looked = time.monotonic(), clock.now()

    @property
    def next(self) -> float:
        """Return the moment of the monotonic clock at which to look again."""
        return self._looked[0] + EVERY

    def look(self) -> None:
        """Mend, if a minute has passed."""
        at, before = time.monotonic(), self._looked
        if at < before[0] + EVERY:
            return
        now = clock.now()
        self._looked = at, now
        back = now - before[1] < timedelta(seconds=at - before[0]) - CLOCK_SLACK
        repair(self._engine, self._settings, went_back=back, but=self._token)


def repair(
    engine: Engine, settings: Settings, *, went_back: bool = False, but: str = NO_TOKEN
) -> datetime | None:
    """Mend due times; return when the last pass started, or None when this host's clock went back.

    Leases under tokens that begin with `but` are left alone.
    """
    now = clock.now()
    with engine.connect() as connection:
        previous = connection.scalar(select(func.max(Pass.started_at)))
        # Only this host's passes tell of its clock: another's may be ahead of ours for ever.
        ours = connection.scalar(
            select(func.max(Pass.started_at)).where(Pass.host == host_name.of_this_host())
        )
        went_back |= ours is not None and ours > now + CLOCK_SLACK
        limits = _limits(settings, now, went_back)
        strange = connection.execute(_strange(limits, but)).first() or connection.execute(_odd(now)).first()
    if strange or went_back:
        with database.write(engine) as connection:
            _mend(connection, limits, now, went_back, but)
    return None if went_back else previous


@dataclass(frozen=True, slots=True)
class _Limits:
    leased: datetime
    untried: datetime
    waiting: datetime
    paused: datetime


def _limits(settings: Settings, now: datetime, went_back: bool) -> _Limits:
    """Return the latest moments that a lease, a first attempt, a retry and a pause can rightly name."""
    lease = (
        now + retry_policy.longest_lease(settings.timeout) + leases.CLOCK_SKEW
    )  # by which each lease is longer
    if went_back:
        return _Limits(lease, now, now, now)
    farthest = now + retry_policy.longest_wait(settings.retry_schedule)
    # The end of an erased comment waits until no request about it can be under way.
    first = max(timedelta(seconds=settings.retry_schedule[0]), retry_policy.lease(settings.timeout))
    return _Limits(lease, now + first, farthest, farthest)


def _strange(limits: _Limits, but: str) -> Any:
    """Select a webhook that has a row or a pause beyond the limits; by the index, webhook by webhook."""
    mine = select(Delivery.id).where(Delivery.webhook_id == Webhook.id)
    others = Delivery.claimed_by.not_like(f"{but}%")
    leased = mine.where(Delivery.due_at > limits.leased + leases.CLOCK_SKEW, others)
    free = Delivery.claimed_by.is_(None)
    untried = mine.where(Delivery.due_at > limits.untried + leases.CLOCK_SKEW, free, Delivery.attempts == 0)
    waiting = mine.where(Delivery.due_at > limits.waiting + leases.CLOCK_SKEW, or_(free, others))
    paused = Webhook.paused_until > limits.paused + leases.CLOCK_SKEW
    return select(Webhook.id).where(or_(leased.exists(), untried.exists(), waiting.exists(), paused))


def _odd(now: datetime) -> Any:
    """Select a source that has an inbound event beyond any lease: those are due at once, or not at all."""
    beyond = InboundEvent.due_at > now + retry_policy.RELAY_LEASE + leases.CLOCK_SKEW
    mine = select(InboundEvent.id).where(InboundEvent.source_id == Source.id, beyond)
    return select(Source.id).where(mine.exists())


def _mend(connection: Connection, limits: _Limits, now: datetime, went_back: bool, but: str) -> None:
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
    if went_back:  # or each coming pass would take the old ones for a sign of another jump
        mine = Pass.host == host_name.of_this_host()
        connection.execute(update(Pass).where(Pass.started_at > now, mine).values(started_at=now))

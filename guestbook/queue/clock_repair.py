"""Fix due times that a clock jump has left far in the future, beyond any wait or lease."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, or_, select, update

from guestbook.lib import clock, ids, retry_policy
from guestbook.queue import claims
from guestbook.storage import database
from guestbook.storage.models import (
    DELIVERIES,
    INBOUND,
    IS_NEXT,
    Delivery,
    InboundEvent,
    Pass,
    Source,
    Webhook,
)

Schedule = tuple[float, ...]

CLOCK_SLACK = timedelta(seconds=60)
NO_TOKEN = "-"  # No token begins like this.
REPAIR_INTERVAL = 60.0  # seconds


class PeriodicRepair:
    """Fixes due times each minute of a pass, which may last a day, and as soon as the clock went back."""

    def __init__(self, engine: Engine, timeout: float, schedule: Schedule, but: str = NO_TOKEN) -> None:
        self._repair = partial(repair, engine, timeout, schedule, but=but)
        self._looked = time.monotonic(), clock.now()

    def is_due(self) -> bool:
        """Whether to look now. It costs two looks at a clock, so a pass that waits asks all the time."""
        passed = time.monotonic() - self._looked[0]
        return passed >= REPAIR_INTERVAL or self._went_back(passed)

    def look(self) -> None:
        """Fix due times if it is time to."""
        if self.is_due():
            went_back = self._went_back(time.monotonic() - self._looked[0])
            self._looked = time.monotonic(), clock.now()
            self._repair(went_back=went_back)

    def _went_back(self, passed: float) -> bool:
        """Whether the clock shows less time than has passed. A faulty host may turn back both."""
        return passed < 0 or clock.now() - self._looked[1] < timedelta(seconds=passed) - CLOCK_SLACK


def repair(
    engine: Engine, timeout: float, schedule: Schedule, *, went_back: bool = False, but: str = NO_TOKEN
) -> datetime | None:
    """Fix due times; return when the last pass started, or None when this host's clock went back.

    `timeout` and `schedule` are the settings of attempts. Leases under tokens that begin with `but`, those of
    the caller's own pass, stay as they are.
    """
    now = clock.now()
    with database.read(engine) as connection:
        previous = connection.scalar(select(func.max(Pass.started_at)))
        # Only this host's passes show a jump of its clock: another host's clock may always be ahead.
        of_host = Pass.host == ids.host_name()
        ours = connection.scalar(select(func.max(Pass.started_at)).where(of_host))
        went_back |= ours is not None and ours > now + CLOCK_SLACK
        limits = _limits(timeout, schedule, now, went_back)
        late = (InboundEvent.source_id == Source.id) & _too_late_inbound(limits)
        wrong_sources = select(Source.id).where(select(InboundEvent.id).where(late).exists())
        found = connection.execute(_wrong_webhooks(limits, but)).first()
        found = found or connection.execute(wrong_sources).first()
    if found or went_back:
        database.write_with_retry(engine, lambda at: _fix(at, timeout, schedule, went_back, but))
    return None if went_back else previous


@dataclass(frozen=True, slots=True)
class _LatestTimes:
    """After these times, nothing but a clock jump explains a due time; another host's clock may be ahead."""

    leased: datetime
    untried: datetime
    waiting: datetime  # This is for rows tried before, and for paused webhooks.
    inbound: datetime  # This is for inbound events that are leased or untried.


def _limits(timeout: float, schedule: Schedule, now: datetime, went_back: bool) -> _LatestTimes:
    now += claims.CLOCK_SKEW
    longest = max(retry_policy.lease(timeout), retry_policy.RELAY_LEASE)
    lease = now + longest + claims.CLOCK_SKEW  # Leases include it.
    inbound = now + retry_policy.RELAY_LEASE
    if went_back:
        return _LatestTimes(lease, now, now, inbound)
    # The comment.deleted of an erased comment waits until no request about the comment can be under way.
    first = max(timedelta(seconds=schedule[0]), retry_policy.lease(timeout) + claims.CLOCK_SKEW)
    return _LatestTimes(lease, now + first, now + retry_policy.longest_wait(schedule), inbound)


def _wrong_webhooks(limits: _LatestTimes, but: str) -> Any:
    """Select webhooks that have a row or a pause beyond the limits; uses the index, webhook by webhook.

    An untried row that waits behind a retried one may wait as long as that.
    """
    mine = select(Delivery.id).where(Delivery.webhook_id == Webhook.id)
    leased, untried, waiting = _too_late(limits, but)
    rows = (mine.where(too_late).exists() for too_late in (leased, and_(untried, IS_NEXT), waiting))
    return select(Webhook.id).where(or_(*rows, Webhook.paused_until > limits.waiting))


def _too_late(limits: _LatestTimes, but: str) -> Sequence[ColumnElement[bool]]:
    """Return the conditions for rows that are leased, untried and waiting."""
    due, free = Delivery.due_at, Delivery.claimed_by.is_(None)
    return (
        Delivery.claimed_by.not_like(f"{but}%") & (due > limits.leased),
        free & (Delivery.attempts == 0) & (due > limits.untried),
        free & (due > limits.waiting),
    )


def _too_late_inbound(limits: _LatestTimes) -> ColumnElement[bool]:
    waits = InboundEvent.claimed_by.is_(None) & (InboundEvent.attempts > 0)
    return (InboundEvent.due_at > limits.inbound) & (~waits | (InboundEvent.due_at > limits.waiting))


def _fix(connection: Connection, timeout: float, schedule: Schedule, went_back: bool, but: str) -> None:
    now = clock.now()  # This may have waited for long, and others may have leased rows meanwhile.
    limits = _limits(timeout, schedule, now, went_back)
    for webhook_id in connection.scalars(select(Webhook.id)).all():
        for too_late in _too_late(limits, but):
            claims.make_due(connection, DELIVERIES, (Delivery.webhook_id == webhook_id) & too_late, now)
    for source_id in connection.scalars(select(Source.id)).all():
        late = (InboundEvent.source_id == source_id) & _too_late_inbound(limits)
        claims.make_due(connection, INBOUND, late, now)
    connection.execute(update(Webhook).where(Webhook.paused_until > limits.waiting).values(paused_until=None))
    if went_back:  # Else each later pass would take the old rows for another jump.
        of_host = Pass.host == ids.host_name()
        connection.execute(update(Pass).where(Pass.started_at > now, of_host).values(started_at=now))

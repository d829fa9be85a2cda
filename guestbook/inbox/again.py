"""Reprocess what failed before its source was mended, or what shall be done again: the twin of redelivery."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session, defer

from guestbook import clock, queue
from guestbook.database import writing
from guestbook.models import InboundEvent, Source

BITE = 500  # rows made due again in one transaction
NO_BYTES = (defer(InboundEvent.headers), defer(InboundEvent.payload))  # they may be half a gigabyte


@dataclass(frozen=True, slots=True)
class Part:
    """What of one source would be worked through again."""

    name: str
    disabled: bool  # so it would wait
    count: int
    in_hand: int  # beside them, those that a pass works on just now, which are left alone


def forecast(session: Session, which: ColumnElement[bool], now: datetime) -> list[Part]:
    """Say what would be reprocessed, by source."""
    in_hand = func.count(case((InboundEvent.leased_at(now), 1)))
    query = select(Source.name, Source.disabled_at, func.count(), in_hand)
    query = query.join_from(InboundEvent, Source, InboundEvent.source_id == Source.id).where(which)
    query = query.group_by(Source.id, Source.name, Source.disabled_at).order_by(Source.name, Source.id)
    return [
        Part(name, disabled_at is not None, count - leased, leased)
        for name, disabled_at, count, leased in session.execute(query)
    ]


def reprocess(session: Session, row_ids: Sequence[str], now: datetime) -> list[InboundEvent]:
    """Make them due at once and return them; those that a pass has in hand just now are left alone."""
    query = select(InboundEvent).where(InboundEvent.id.in_(row_ids)).options(*NO_BYTES)
    # Under the lock: a pass may have taken one since somebody looked, and would settle it beside another.
    query = query.order_by(InboundEvent.id).with_for_update()
    for dialect in ("mysql", "mariadb"):
        query = query.with_hint(InboundEvent, queue.BY_ID, dialect)
    rows = session.scalars(query.execution_options(populate_existing=True))
    free = [event for event in rows if not event.is_leased(now)]
    for event in free:
        event.reprocess(now)
    session.flush()
    return free


def run(which: ColumnElement[bool]) -> int:
    """Reprocess them in transactions of its own, so that senders can write in between. Returns how many."""
    count, last = 0, ""
    while True:
        with writing() as session:
            # By id: one that a pass fails again meanwhile must not come round a second time.
            query = select(InboundEvent.id).where(which, InboundEvent.id > last)
            row_ids = session.scalars(query.order_by(InboundEvent.id).limit(BITE)).all()
            last = row_ids[-1] if row_ids else last
            count += len(reprocess(session, row_ids, clock.now()))
        if len(row_ids) < BITE:
            return count


def total(parts: Sequence[Part]) -> int:
    """Return how many would be worked through again, of all sources."""
    return sum(part.count for part in parts)

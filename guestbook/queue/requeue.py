"""Redeliver and reprocess: say first what it would be, then make it due. Commands and buttons call these.

It is the same for the outbox and the inbox: `model` says which of them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, defer

from guestbook.lib import clock
from guestbook.queue import leases
from guestbook.storage.database import writing
from guestbook.storage.models import Delivery, InboundEvent, Source, Webhook

REQUEUE_BATCH = 500  # rows made due again in one transaction

M = TypeVar("M", Delivery, InboundEvent)


@dataclass(frozen=True, slots=True)
class RequeueGroup:
    """What of one webhook, or of one source, would be done again."""

    name: str
    disabled: bool  # so it would wait
    count: int
    in_hand: int  # beside them, those that a pass has in hand just now, which are left alone
    erased: int  # and those whose comment was deleted for good, which cannot be done again


def forecast(
    session: Session, model: type[M], which: ColumnElement[bool], now: datetime
) -> list[RequeueGroup]:
    """Say what would be done again, by webhook or source."""
    owner, owner_id = _owner(model)
    in_hand = func.count(case((model.leased_at(now), 1)))
    erased = func.count(model.erased_at)
    query = select(owner.name, owner.disabled_at, func.count(), in_hand, erased)
    query = query.join_from(model, owner, owner_id == owner.id).where(which)
    query = query.group_by(owner.id, owner.name, owner.disabled_at).order_by(owner.name, owner.id)
    return [
        RequeueGroup(name, disabled_at is not None, count - leased - gone, leased, gone)
        for name, disabled_at, count, leased, gone in session.execute(query)
    ]


def total(parts: Sequence[RequeueGroup]) -> int:
    """Return how many would be done again, of all webhooks or sources."""
    return sum(part.count for part in parts)


def make_due(session: Session, model: type[M], row_ids: Collection[str], now: datetime) -> list[M]:
    """Make them due at once and return them; what a pass has in hand or was erased is left alone."""
    query = select(model).where(model.id.in_(row_ids)).options(defer(model.payload))
    if issubclass(model, InboundEvent):
        query = query.options(defer(model.headers))  # with the payloads they may be half a gigabyte
    # Under the lock: a pass may have taken one since somebody looked, and would settle it beside another.
    query = query.order_by(model.id).with_for_update()
    for dialect in ("mysql", "mariadb"):
        query = query.with_hint(model, leases.BY_ID, dialect)
    rows = session.scalars(query.execution_options(populate_existing=True))
    free = [row for row in rows if not row.is_leased(now) and row.erased_at is None]
    for row in free:
        if isinstance(row, Delivery):
            row.redeliver(now)
        else:
            row.reprocess(now)
    session.flush()
    return free


def run(model: type[M], which: ColumnElement[bool]) -> int:
    """Do it in transactions of its own, so that others can write in between. Returns how many."""
    count, last = 0, ""
    while True:
        with writing() as session:
            # By id: one that a pass gives up again meanwhile must not come round a second time.
            query = select(model.id).where(which, model.id > last).order_by(model.id).limit(REQUEUE_BATCH)
            row_ids = session.scalars(query).all()
            last = row_ids[-1] if row_ids else last
            count += len(make_due(session, model, row_ids, clock.now()))
        if len(row_ids) < REQUEUE_BATCH:
            return count


def _owner(model: type[M]) -> tuple[type[Webhook] | type[Source], InstrumentedAttribute[str]]:
    if issubclass(model, Delivery):
        return Webhook, model.webhook_id
    return Source, model.source_id

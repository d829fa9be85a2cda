"""Redeliver and reprocess: count the rows first, then make them due. Commands and buttons call these.

Outbox and inbox work alike; `model` is Delivery or InboundEvent.
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

REQUEUE_BATCH = 500  # rows made due in one transaction

M = TypeVar("M", Delivery, InboundEvent)


@dataclass(frozen=True, slots=True)
class RequeueGroup:
    """The rows of one webhook or source that would be requeued."""

    name: str
    disabled: bool  # they would wait until it is enabled
    count: int
    leased: int  # not counted in `count`: a pass is working on them
    erased: int  # not counted in `count`: their comment was deleted for good


def forecast(
    session: Session, model: type[M], which: ColumnElement[bool], now: datetime
) -> list[RequeueGroup]:
    """Count the rows that would be requeued, by webhook or source."""
    owner, owner_id = _owner(model)
    leased = func.count(case((model.leased_at(now), 1)))
    erased = func.count(model.erased_at)
    query = select(owner.name, owner.disabled_at, func.count(), leased, erased)
    query = query.join_from(model, owner, owner_id == owner.id).where(which)
    query = query.group_by(owner.id, owner.name, owner.disabled_at).order_by(owner.name, owner.id)
    return [
        RequeueGroup(name, disabled_at is not None, count - in_work - gone, in_work, gone)
        for name, disabled_at, count, in_work, gone in session.execute(query)
    ]


def total(groups: Sequence[RequeueGroup]) -> int:
    """Return how many rows would be requeued in all."""
    return sum(group.count for group in groups)


def make_due(session: Session, model: type[M], row_ids: Collection[str], now: datetime) -> list[M]:
    """Make the rows due at once and return them; leased and erased rows stay as they are."""
    query = select(model).where(model.id.in_(row_ids)).options(defer(model.payload))
    if issubclass(model, InboundEvent):
        query = query.options(defer(model.headers))  # with the payloads they may be half a gigabyte
    # Lock the rows first: a pass may have leased one since it was counted, and must record it alone.
    query = leases.use_index(query.order_by(model.id).with_for_update(), model, leases.BY_ID)
    rows = session.scalars(query.execution_options(populate_existing=True))
    free = [row for row in rows if not row.is_leased(now) and row.erased_at is None]
    for row in free:
        row.requeue(now)
    session.flush()
    return free


def run(model: type[M], which: ColumnElement[bool]) -> int:
    """Requeue in transactions of its own, so that others can write in between; return how many rows."""
    count, last = 0, ""
    while True:
        with writing() as session:
            # In order of id: a row that a pass gives up meanwhile must not be requeued a second time.
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

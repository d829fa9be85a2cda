"""Redeliver and reprocess: count the rows first, then make them due. Commands and buttons call these.

Outbox and inbox work alike; `model` is Delivery or InboundEvent. But a delivery that is redelivered takes
all later ones about its comment to its webhook with it, so the receiver ends with the newest state.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, case, func, literal, select, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased, defer

from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.lib.validate import PULL_URL, is_mailto
from guestbook.queue import claims, comment_order
from guestbook.queue.comment_order import IS_ALONE, IS_OVER
from guestbook.storage import audit_log, database
from guestbook.storage.database import writing
from guestbook.storage.models import Delivery, InboundEvent, Source, Webhook

REQUEUE_BATCH = 500  # rows made due in one transaction

M = TypeVar("M", Delivery, InboundEvent)


@dataclass(frozen=True, slots=True)
class RequeueGroup:
    """The rows of one webhook or source that would be requeued."""

    name: str
    disabled: bool  # They would wait until it is enabled.
    count: int
    leased: int  # `count` leaves them out: a pass has them, or one that follows them.
    erased: int  # `count` leaves them out: their comment was deleted.
    later: int = 0  # `count` includes them: they follow chosen ones about the same comment.
    pulled: bool = False  # Their receiver fetches them, and no pass sends them.
    mailed: int = 0  # `count` includes them: they are e-mails that were sent, and go out a second time.


def forecast(
    session: Session, model: type[M], which: ColumnElement[bool], now: datetime
) -> list[RequeueGroup]:
    """Count the rows that would be requeued, by webhook or source."""
    owner, _ = _owner(model)
    rows = _deliveries(which, now) if issubclass(model, Delivery) else _each(model, which, now)
    part = rows.subquery()
    sums = (func.sum(column) for column in (part.c.leased, part.c.erased, part.c.later, part.c.done))
    url = Webhook.url if issubclass(model, Delivery) else literal("")
    query = select(owner.name, owner.disabled_at, func.count(), *sums, func.max(url))
    query = query.join_from(part, owner, part.c.owner == owner.id)
    query = query.group_by(owner.id, owner.name, owner.disabled_at).order_by(owner.name, owner.id)
    return [
        RequeueGroup(
            name,
            disabled_at is not None,
            count - int(in_work) - int(gone),  # MariaDB sums up decimals, which are text in JSON.
            int(in_work),
            int(gone),
            int(later),
            pulled=shown_url == PULL_URL,
            mailed=int(done) if is_mailto(shown_url) else 0,
        )
        for name, disabled_at, count, in_work, gone, later, done, shown_url in session.execute(query)
    ]


def _each(model: type[M], which: ColumnElement[bool], now: datetime) -> Any:
    """Select the owner of each row, whether it is leased, erased, later than a chosen one, and done."""
    is_done = (model.status == "processed") & model.erased_at.is_(None)
    flags = model.leased_at(now), model.erased_at.is_not(None), literal(0) == 1, is_done
    names = ("leased", "erased", "later", "done")
    columns = (_flag(flag).label(name) for flag, name in zip(flags, names, strict=True))
    return select(_owner(model)[1].label("owner"), *columns).where(which)


def _deliveries(which: ColumnElement[bool], now: datetime) -> Any:
    """Select the same of deliveries: of the chosen ones, and of all that follow them."""
    first, member = comment_order.first_of(which), aliased(Delivery)
    of_pair = member.webhook_id, member.comment_id
    held = member.leased_at(now) | comment_order.waits_for_requests(member, now)
    is_busy = func.max(_flag(held)).over(partition_by=of_pair)
    is_later = member.id.not_in(select(Delivery.id).where(which))
    flags = _flag(is_later).label("later"), _flag(member.status == "processed").label("done")
    in_order = select(member.webhook_id, is_busy.label("leased"), literal(0), *flags)
    part = in_order.join(first, comment_order.follows(member, first)).subquery()
    numbers = (case((part.c.leased == 0, flag), else_=0) for flag in (part.c.later, part.c.done))
    nothing = literal(0)
    over = select(Delivery.webhook_id, nothing, literal(1), nothing, nothing)
    return union_all(
        _each(Delivery, which & IS_ALONE, now),
        over.where(which, ~IS_ALONE, IS_OVER),
        select(part.c.webhook_id, part.c.leased, nothing, *numbers),
    )


def _flag(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


def total(groups: Sequence[RequeueGroup]) -> int:
    """Return how many rows would be requeued in all."""
    return sum(group.count for group in groups)


def are_pulled(groups: Sequence[RequeueGroup]) -> bool:
    """Whether receivers fetch all that would be requeued, so that no pass sends anything."""
    waiting = [group.pulled for group in groups if group.count]
    return bool(waiting) and all(waiting)


def mailed(groups: Sequence[RequeueGroup]) -> int:
    """Return how many of them are e-mails that were sent already. Nobody recognises a repeat of these."""
    return sum(group.mailed for group in groups)


def second_mails(groups: Sequence[RequeueGroup]) -> str | None:
    """Say how many e-mails go out a second time, if there are any."""
    mails = mailed(groups)
    verb = "was sent already, and goes" if mails == 1 else "were sent already, and go"
    return f"{counted(mails, 'e-mail')} {verb} out a second time." if mails else None


def make_due(session: Session, model: type[M], row_ids: Collection[str], now: datetime) -> list[M]:
    """Make the rows due at once, with all deliveries that follow them, and return them in order of id.

    Leased and erased rows stay as they are, and so do deliveries that a leased one follows. A
    `comment.deleted` that waits for the end of earlier requests counts as leased.
    """
    query = select(model).options(defer(model.payload))
    if issubclass(model, InboundEvent):
        query = query.options(defer(model.headers))  # With the payloads they may be half a gigabyte.
    else:
        row_ids = comment_order.lock_with_later(session, row_ids)
    query = query.where(model.id.in_(row_ids)).order_by(model.id)
    # Lock the rows first: a pass may have leased one since it was counted, and must record it alone.
    query = claims.use_index(query.with_for_update(), model, claims.BY_ID)
    rows = session.scalars(query.execution_options(populate_existing=True)).all()
    busy = {_line(row) for row in rows if _is_busy(row, now)}
    free = [row for row in rows if _line(row) not in busy and row.erased_at is None]
    for row in free:
        row.requeue(now)
    session.flush()
    if free:
        database.note_new_work(session.connection())
        action = "redelivered" if issubclass(model, Delivery) else "reprocessed"
        row_id = free[0].id if len(free) == 1 else None
        audit_log.record(session, action, audit_log.noun_of(model), row_id, number=len(free))
    return free


def _is_busy(row: Delivery | InboundEvent, now: datetime) -> bool:
    """Whether a pass has it in hand, or it is a `comment.deleted` that waits for such a pass."""
    if isinstance(row, Delivery) and row.event == comment_order.END and not row.attempts:
        return row.due_at is not None and row.due_at > now
    return row.is_leased(now)


def _line(row: Delivery | InboundEvent) -> tuple[str, ...]:
    """Return what the rows share that go one after the other."""
    if isinstance(row, Delivery) and row.comment_id and row.sequence:
        return row.comment_id, row.webhook_id
    return (row.id,)


def run(model: type[M], which: ColumnElement[bool]) -> int:
    """Requeue in transactions of its own, so that others can write in between; return how many rows."""
    count, last = 0, ""
    ahead: set[str] = set()  # They are due already: they follow one of an earlier batch.
    while True:
        row_ids, free = database.retry_conflicts(partial(_requeue_next, model, which, last, ahead))
        last = row_ids[-1] if row_ids else last
        count += len(free - ahead)
        ahead = {row_id for row_id in ahead | free if row_id > last}
        if len(row_ids) < REQUEUE_BATCH:
            return count


def _requeue_next(
    model: type[M], which: ColumnElement[bool], last: str, ahead: Collection[str]
) -> tuple[Sequence[str], set[str]]:
    """Return the ids of the next rows, and of all that are due now, in a transaction of its own."""
    with writing() as session:
        # In order of id: a row that a pass gives up meanwhile must not be requeued a second time.
        query = select(model.id).where(which, model.id > last).order_by(model.id).limit(REQUEUE_BATCH)
        row_ids = session.scalars(query).all()
        chosen = [row_id for row_id in row_ids if row_id not in ahead]
        return row_ids, {row.id for row in make_due(session, model, chosen, clock.now())}


def _owner(model: type[M]) -> tuple[type[Webhook] | type[Source], InstrumentedAttribute[str]]:
    if issubclass(model, Delivery):
        return Webhook, model.webhook_id
    return Source, model.source_id

"""Limit the bytes of a source's unproven events, so that a stranger with its URL cannot fill the disk.

An event is unproven while it waits, if it was refused, and always if the source verifies nothing. The
source's row has the sum, because the receiver cannot add up a table for each request.
"""

from functools import partial

from sqlalchemy import ColumnElement, Connection, Engine, Select, delete, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from guestbook.storage import database
from guestbook.storage.models import INBOUND, Source
from guestbook.storage.models.delivery import QUEUE_STATUSES

MEGABYTE = 1_000_000  # bytes
PER_EVENT = 1000  # bytes of a row besides its body and its headers
DROPPED_AT_ONCE = 500  # events, to make room for one
FREED_SHARE = 20  # one part in so many of a budget is freed in addition
FINAL = tuple(status for status in QUEUE_STATUSES if status != "new")


def size_of(headers: str, payload: str) -> int:
    """Return the bytes of an event, from its stored headers and payload."""
    return PER_EVENT + len(headers.encode(errors="replace")) + len(payload.encode(errors="replace"))


def taken(source: Source) -> str:
    """Return the bytes of the source's unproven events, in words."""
    return f"{source.unproven_bytes / MEGABYTE:.1f} of {source.budget_mb} MB"


def is_full(source: Source) -> bool:
    """Whether there may be no room for the next event."""
    return source.unproven_bytes + PER_EVENT > source.budget_mb * MEGABYTE


def take(connection: Connection, source_id: str, size: int, most: int) -> bool:
    """Count so many bytes more for the source; False if that exceeds `most`."""
    change = update(Source).where(Source.id == source_id, Source.unproven_bytes + size <= most)
    return bool(connection.execute(change.values(unproven_bytes=Source.unproven_bytes + size)).rowcount)


def may_make_room(connection: Connection, source_id: str) -> bool:
    """Whether an event of the source may be dropped. It takes no lock."""
    return connection.execute(select(INBOUND.c.id).where(*_droppable(source_id)).limit(1)).first() is not None


def make_room(connection: Connection, source_id: str, size: int, most: int) -> None:
    """Drop the oldest processed unproven events, as many as are needed for so many bytes."""
    sum_of_it = select(Source.unproven_bytes).where(Source.id == source_id)
    used = connection.scalar(sum_of_it.with_for_update()) or 0
    missing = used + size - most
    if missing <= 0:
        return
    oldest = select(INBOUND.c.id, INBOUND.c.unproven_bytes).where(*_droppable(source_id))
    dropped, freed = [], 0
    for row in connection.execute(oldest.order_by(INBOUND.c.id).limit(DROPPED_AT_ONCE)):
        if freed >= missing + most // FREED_SHARE:
            break
        dropped.append(row.id)
        freed += row.unproven_bytes
    if dropped:
        connection.execute(delete(INBOUND).where(INBOUND.c.id.in_(dropped), INBOUND.c.due_at.is_(None)))
        change = update(Source).where(Source.id == source_id)
        connection.execute(change.values(unproven_bytes=max(0, used - freed)))


def recount(engine: Engine) -> None:
    """Correct the sums after passes, retention and people have proven or removed events."""
    sums = select(Source.id, Source.unproven_bytes, _sum(Source.id).scalar_subquery().label("found"))
    with database.read(engine) as connection:  # this look takes no lock
        wrong = [row.id for row in connection.execute(sums) if row.unproven_bytes != row.found]
    for source_id in wrong:
        database.write_with_retry(engine, partial(_add_up, source_id))


def _add_up(source_id: str, connection: Connection) -> None:
    # Nobody adds to it until it is added up.
    connection.execute(select(Source.id).where(Source.id == source_id).with_for_update())
    found = connection.scalar(_sum(source_id))
    connection.execute(update(Source).where(Source.id == source_id).values(unproven_bytes=found))


def _sum(source_id: str | InstrumentedAttribute[str]) -> Select[tuple[int]]:
    rows = INBOUND.c
    mine = rows.source_id == source_id, rows.status.in_(QUEUE_STATUSES), rows.unproven_bytes > 0
    return select(func.coalesce(func.sum(rows.unproven_bytes), 0)).where(*mine)


def _droppable(source_id: str) -> tuple[ColumnElement[bool], ...]:
    rows = INBOUND.c
    return rows.source_id == source_id, rows.status.in_(FINAL), rows.unproven_bytes > 0

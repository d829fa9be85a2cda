"""Erasure: empty what a deleted comment has not sent; for good, every row that holds its words."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, delete, select, update

from guestbook.queue import claims
from guestbook.queue.comment_order import END
from guestbook.storage.models import ATTEMPTS, BY_COMMENT, DELIVERIES, INBOUND, BinRequest, Source

DELIVERY_ERASED = "The comment was deleted after this, so nothing of it is sent any more."
SUPERSEDED = "Superseded by comment.deleted before it was delivered. Nothing more is sent."
NEVER_SENT = "The comment was deleted for good before this was delivered. Nothing more is sent."
INBOUND_ERASED = "The comment was deleted for good, and this content with it."
UNDER_WAY = timedelta(minutes=15)  # No request takes longer.


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What the webhooks of the erased deliveries may still do or miss."""

    under_way: dict[str, datetime]  # by webhook's id: when the last request about the comment must be over
    unaware: set[str]  # ids of webhooks that did not get their comment.deleted


def erase(connection: Connection, comment_id: str, now: datetime, lease: timedelta) -> ErasureResult:
    """Empty all that holds words of a comment, in the caller's write transaction, and make it final.

    A pass that has leased one of the deliveries cannot record it after this. It may still send it for as long
    as `lease`.
    """
    rows = _deliveries(connection, comment_id)
    event_ids = sorted({row.event_id for row in rows})
    _empty_deliveries(connection, rows, now, NEVER_SENT)
    erase_inbound(connection, INBOUND.c.comment_id == comment_id, now)
    if event_ids:
        ours = INBOUND.c.external_id.in_(event_ids)  # The book may send to its own sources.
        every = list(connection.scalars(select(Source.id)))  # The index begins with the source.
        erase_inbound(connection, INBOUND.c.source_id.in_(every) & ours, now)
        connection.execute(delete(BinRequest).where(BinRequest.event_id.in_(event_ids)))
    last = {row.webhook_id: row.status for row in rows if row.event == END}  # The newest of each counts.
    return ErasureResult(
        under_way=_under_way(rows, now, lease),
        unaware={webhook_id for webhook_id, status in last.items() if status != "processed"},
    )


def supersede(
    connection: Connection, comment_id: str, now: datetime, lease: timedelta
) -> dict[str, datetime]:
    """Make final, and empty, what webhooks have not had of a comment that is deleted.

    Those that want `comment.deleted` get it instead. Return, by webhook id, when the last request about the
    comment must be over.
    """
    rows = _deliveries(connection, comment_id)
    waiting = [row for row in rows if row.status != "processed" and row.erased_at is None]
    _empty_deliveries(connection, waiting, now, SUPERSEDED)
    return _under_way(waiting, now, lease)


def erase_inbound(connection: Connection, which: ColumnElement[bool], now: datetime) -> None:
    """Empty inbound events and make them final."""
    rows = INBOUND.c
    row_ids = list(connection.scalars(select(rows.id).where(which)))
    if not row_ids:
        return
    claims.end(connection, INBOUND, row_ids, "processed", processed_at=now)
    erased: dict[str, Any] = {
        "headers": {},
        "payload": "",
        "encoding": "text",
        "sender": None,
        "error": case((rows.status == "failed", INBOUND_ERASED)),
        "note": case((rows.status == "processed", INBOUND_ERASED)),
        "unproven_bytes": 0,  # The next pass corrects the source's sum.
        "erased_at": now,
    }
    connection.execute(claims.by_id(INBOUND, row_ids).values(erased))


def lately(connection: Connection, since: datetime) -> set[str]:
    """Return the ids of deliveries that were erased since then while they waited."""
    return set(connection.scalars(select(DELIVERIES.c.id).where(*_erased_since(since))))


def is_erased(connection: Connection, event_id: str, now: datetime) -> bool:
    """Whether the event was erased so recently that a request may be under way: do not store its result."""
    same = select(DELIVERIES.c.id).where(*_erased_since(now - UNDER_WAY), DELIVERIES.c.event_id == event_id)
    return connection.execute(same.limit(1)).first() is not None


def _erased_since(since: datetime) -> tuple[ColumnElement[bool], ...]:
    rows = DELIVERIES.c
    return rows.status == "failed", rows.finished_at >= since, rows.erased_at.is_not(None)


def _deliveries(connection: Connection, comment_id: str) -> Sequence[Row[Any]]:
    """Lock and return the deliveries about a comment, the oldest first."""
    rows = DELIVERIES.c
    # MariaDB locks in the order of the index that it reads, and a pass locks in the order of the ids.
    query: Any = select(rows.id).where(rows.comment_id == comment_id)
    row_ids = connection.scalars(claims.use_index(query, DELIVERIES, BY_COMMENT)).all()
    columns = rows.id, rows.webhook_id, rows.event_id, rows.event, rows.status, rows.attempts, rows.due_at
    query = select(*columns, rows.claimed_by, rows.erased_at).where(rows.id.in_(row_ids)).order_by(rows.id)
    query = claims.use_index(query.with_for_update(), DELIVERIES, claims.BY_ID)
    return connection.execute(query).all() if row_ids else []


def _under_way(rows: Sequence[Row[Any]], now: datetime, lease: timedelta) -> dict[str, datetime]:
    """Return, by webhook id, when the last request about the comment must be over.

    It is under way as long as its lease. An untried END may wait for the end of such a lease itself. The
    clock of the pass that sends END may be ahead of ours, so the limit has the margin that leases have.
    """
    until: defaultdict[str, datetime] = defaultdict(lambda: now)
    latest = now + lease + claims.CLOCK_SKEW
    for row in rows:
        if row.due_at and (row.claimed_by or (row.event == END and not row.attempts)):
            until[row.webhook_id] = max(until[row.webhook_id], min(row.due_at, latest))
    return {webhook_id: moment for webhook_id, moment in until.items() if moment > now}


def _empty_deliveries(connection: Connection, emptied: Sequence[Row[Any]], now: datetime, why: str) -> None:
    if not emptied:
        return
    rows, row_ids = DELIVERIES.c, [row.id for row in emptied]
    # An error of the format, which kept it from being sent, may quote the comment.
    quotes = (rows.status == "failed") & (rows.attempts == 0)
    connection.execute(claims.by_id(DELIVERIES, row_ids).where(quotes).values(last_error=why))
    claims.end(connection, DELIVERIES, row_ids, "failed", finished_at=now, last_error=why)
    connection.execute(claims.by_id(DELIVERIES, row_ids).values(payload="", erased_at=now))
    answers = {"response_headers": None, "response_body": None}  # A receiver may repeat the payload.
    connection.execute(update(ATTEMPTS).where(ATTEMPTS.c.delivery_id.in_(row_ids)).values(answers))

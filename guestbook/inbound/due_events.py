"""Claim inbound events for processing, and end their turn, in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.orm import Session

from guestbook.inbound.evaluate import InboundDecision, ReceivedEvent
from guestbook.lib import body_encoding, clock, ids, retry_policy
from guestbook.lib.retry_policy import INBOX_LEASE
from guestbook.queue import erasure, leases
from guestbook.storage.models import FIRST_INBOUND_DUE, INBOUND, Source
from guestbook.storage.models.source import MENTIONS

Claimed = list[tuple[ReceivedEvent, Source]]


def sources_with_due(now: datetime, *what: Any) -> Any:
    """Select the enabled sources that have something due."""
    return select(*what).where(Source.disabled_at.is_(None), now >= FIRST_INBOUND_DUE).order_by(Source.id)


def claim(connection: Connection, token: str, *, turn: int, limit: int, mentions: int = 0) -> Claimed:
    """Lease up to `limit` due events, among them so many webmentions; each source is served first in turn."""
    now = clock.now()
    sources = _detached(connection, sources_with_due(now, Source))
    first = turn % len(sources) if sources else 0
    taken: list[tuple[Row[Any], Source]] = []
    for source in (*sources[first:], *sources[:first]):
        room = limit - len(taken)
        if room := min(room, mentions) if source.action == MENTIONS else room:
            mine = INBOUND.c.source_id == source.id
            taken += [(row, source) for row in leases.claim(connection, INBOUND, mine, now=now, limit=room)]
    # An event that a pass has ended over goes without others: if it kills this pass too, it fails alone.
    suspects = [(row, source) for row, source in taken if row.claims > row.attempts]
    taken = suspects[:1] or taken
    rows = [row for row, _ in taken]
    leases.lease(connection, INBOUND, rows, now=now, until=now + INBOX_LEASE, token=token)
    return [(_received(row, token), source) for row, source in taken]


def take_over(connection: Connection, event_id: str, token: str) -> Claimed:
    """Lease the event that the relay handed over under that token, with a token of our own."""
    if not leases.owned(connection, INBOUND, {(event_id, token)}):
        return []  # its lease has ended, or another worker has it
    row = connection.execute(select(INBOUND).where(INBOUND.c.id == event_id)).one()
    now, own = clock.now(), f"worker.{ids.new()}"
    sources = _detached(
        connection, select(Source).where(Source.id == row.source_id, Source.disabled_at.is_(None))
    )
    if not sources:
        leases.release(connection, INBOUND, [{"row_id": event_id, "token": token, "due_at": now}])
        return []  # its source was disabled meanwhile, so the event waits
    leases.take_over(connection, INBOUND, [event_id], until=now + INBOX_LEASE, token=own)
    return [(_received(row, own), sources[0])]


def _detached(connection: Connection, query: Any) -> Sequence[Source]:
    """Return rows that stay readable after the transaction."""
    with Session(connection, join_transaction_mode="rollback_only") as session:
        sources: Sequence[Source] = session.scalars(query).all()
        session.expunge_all()
    return sources


def _received(row: Row[Any], token: str) -> ReceivedEvent:
    body, lost_passes = body_encoding.unpack(row.payload, row.encoding), row.claims - row.attempts
    return ReceivedEvent(
        row.id, row.headers, body, row.received_at, token, lost_passes, row.due_at, row.attempts
    )


ERROR_LIMIT = NOTE_LIMIT = 500  # characters, as in schema.sql


def end_event(
    connection: Connection, event: ReceivedEvent, decision: InboundDecision, *, note: Any = "", **values: Any
) -> None:
    """Make the row final, with other columns of it."""
    status, found = "failed" if decision.error else "processed", decision.metadata
    named = {"event": found.event, "sender": found.sender, "processed_at": clock.now()}
    words = {"error": (decision.error or "")[:ERROR_LIMIT] or None, "note": note[:NOTE_LIMIT] or None}
    leases.finish(connection, INBOUND, [event.id], status, **named, **words, **values)


def end_repeat(
    connection: Connection, event: ReceivedEvent, decision: InboundDecision, before: Row[Any]
) -> str:
    """End a repeat with the comment of the event before it, so that erasure finds it too."""
    note = f"A repeat of {before.id}, so nothing was done."
    end_event(connection, event, replace(decision, error=None), note=note, comment_id=before.comment_id)
    if before.erased_at:
        erasure.erase_inbound(connection, INBOUND.c.id == event.id, clock.now())
    return note


def retry_event(
    connection: Connection, event: ReceivedEvent, decision: InboundDecision, schedule: tuple[float, ...]
) -> InboundDecision | None:
    """Make the event due again if its error may pass, and the schedule has another attempt; else None."""
    if decision.retry_after is None or not decision.error:
        return None
    now, made = clock.now(), event.attempts + 1
    due_at = retry_policy.next_due(schedule, made, now, at_least=decision.retry_after)
    if due_at is None:
        return None
    found = decision.metadata
    row = {"error": decision.error[:ERROR_LIMIT], "event": found.event, "sender": found.sender}
    leases.reschedule(connection, INBOUND, [{"row_id": event.id, "due_at": due_at, **row}])
    return replace(decision, retry_at=due_at)


def proof_text(decision: InboundDecision, source: Source) -> dict[str, int]:
    """Return the value that takes a proven event off its source's budget."""
    return {"unproven_bytes": 0} if decision.proves(source) else {}

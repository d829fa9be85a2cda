"""How an event's turn ends, in the caller's transaction: processed, failed, a repeat, or due again later."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row

from guestbook.inbound.decision import InboundDecision
from guestbook.inbound.evaluate import ReceivedEvent
from guestbook.lib import clock, retry_policy
from guestbook.queue import erasure, leases
from guestbook.storage.models import INBOUND, Source

ERROR_LIMIT = NOTE_LIMIT = 500  # characters, as in schema.sql


def end(
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
    end(connection, event, replace(decision, error=None), note=note, comment_id=before.comment_id)
    if before.erased_at:
        erasure.erase_inbound(connection, INBOUND.c.id == event.id, clock.now())
    return note


def retry(
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


def proof(decision: InboundDecision, source: Source) -> dict[str, int]:
    """Return the value that takes a proven event off its source's budget."""
    return {"unproven_bytes": 0} if decision.proves(source) else {}

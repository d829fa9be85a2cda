"""The outbox: publish an event, ping a webhook, redeliver. What it stores, `dispatch` sends."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.orm import Session

from guestbook import clock, formats, ids
from guestbook.models import Delivery, Webhook
from guestbook.settings import Settings

TITLE = "Guestbook"


def publish(
    connection: Connection,
    event: str,
    data: dict[str, Any],
    settings: Settings,
    *,
    comment_id: str | None = None,
    leave_out: str | None = None,
) -> str:
    """Store one delivery for each webhook that wants the event, and return the event's id.

    The payload is fixed here. Disabled webhooks get theirs too: it waits for them. The caller's
    transaction commits, so an event is stored with what caused it or not at all.
    `leave_out` is the id of a webhook that is not told.
    """
    query = select(Webhook.id, Webhook.format, Webhook.events)
    wanted = [
        (row.id, row.format)
        for row in connection.execute(query)
        if event in row.events.split() and row.id != leave_out
    ]
    return _store(connection, event, data, settings, wanted, comment_id)


def ping(connection: Connection, webhook: Webhook, settings: Settings) -> str:
    """Store the test delivery for one webhook, whatever its filter, and return the event's id."""
    data = {"webhook": {"id": webhook.id, "name": webhook.name}}
    return _store(connection, "ping", data, settings, [(webhook.id, webhook.format)], None)


def redeliver(session: Session, deliveries: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """Make them due at once and return them; those that a pass has in hand just now are left alone."""
    free = [delivery for delivery in deliveries if not delivery.is_leased(now)]
    for delivery in free:
        delivery.redeliver(now)
    session.flush()
    return free


def _store(
    connection: Connection,
    event: str,
    data: dict[str, Any],
    settings: Settings,
    webhooks: Sequence[tuple[str, str]],
    comment_id: str | None,
) -> str:
    now, event_id = clock.now(), ids.new()
    data = {**data, "guestbook": {"title": TITLE, "url": settings.base_url}}
    rows = [
        {
            "id": ids.new(),
            "event_id": event_id,
            "webhook_id": webhook_id,
            "comment_id": comment_id,
            "event": event,
            "payload": formats.render(format_name, event, now, data),
            "status": "new",
            "attempts": 0,
            "claims": 0,
            "schedule_start": 0,
            "due_at": now + timedelta(seconds=settings.retry_schedule[0]),
            "created_at": now,
        }
        for webhook_id, format_name in webhooks
    ]
    if rows:
        connection.execute(insert(Delivery), rows)
    return event_id

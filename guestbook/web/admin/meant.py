"""Which deliveries a request means: those that the filters of the list let by, or those that were chosen."""

from flask import request

from guestbook import browse, clock, text
from guestbook.models import Delivery, Webhook
from guestbook.models.webhook import EVENTS
from guestbook.web.admin import queued
from guestbook.web.admin.queued import Chosen, Filters


def filtered() -> browse.Deliveries:
    """Read the filters; what is wrong is refused, field by field."""
    values = queued.read(FILTERS)
    return browse.Deliveries(webhook_id=values.pop("webhook"), **values)


def chosen() -> Chosen:
    """Read which are to be redelivered."""
    if not request.values.get("failed"):
        return queued.ticked(Delivery, "deliveries", "redelivered")
    webhook_id, since, fields = queued.failed("webhook", _webhook)
    return browse.Deliveries(status="failed", webhook_id=webhook_id, since=since).condition(), fields


def _webhook(typed: str) -> str:
    return queued.owner(Webhook, typed)


def _event(typed: str) -> str:
    if typed not in EVENTS:
        raise ValueError(f"There is no event {typed!r}.")
    return typed


FILTERS: Filters = {
    "status": queued.status,
    "webhook": _webhook,
    "event": _event,
    "since": clock.typed,
    "until": clock.typed,
    "text": text.clean_line,
}

"""Which deliveries a request means: those that the filters of the list let by, or those that were chosen."""

from flask import request

from guestbook.lib import clock, text
from guestbook.queries import listing
from guestbook.storage.models import Delivery, Webhook
from guestbook.storage.models.webhook import EVENTS
from guestbook.web.admin import requeue_pages
from guestbook.web.admin.requeue_pages import Filters, Selection


def filtered() -> listing.Deliveries:
    """Read the filters; what is wrong is refused, field by field."""
    values = requeue_pages.read(DELIVERY_FILTERS)
    return listing.Deliveries(webhook_id=values.pop("webhook"), **values)


def chosen() -> Selection:
    """Read which are to be redelivered."""
    if not request.values.get("failed"):
        return requeue_pages.selected(Delivery, "deliveries", "redelivered")
    webhook_id, since, fields = requeue_pages.failed("webhook", _webhook)
    return listing.Deliveries(status="failed", webhook_id=webhook_id, since=since).condition(), fields


def _webhook(typed: str) -> str:
    return requeue_pages.owner(Webhook, typed)


def _event(typed: str) -> str:
    if typed not in EVENTS:
        raise ValueError(f"There is no event {typed!r}.")
    return typed


DELIVERY_FILTERS: Filters = {
    "status": requeue_pages.status,
    "webhook": _webhook,
    "event": _event,
    "since": clock.typed,
    "until": clock.typed,
    "text": text.clean_line,
}

"""The filters of the list of deliveries, and the selection to redeliver."""

from flask import request

from guestbook.lib import clock, text
from guestbook.queries import lists
from guestbook.storage.models import Delivery, Webhook
from guestbook.storage.models.webhook import EVENTS
from guestbook.web.admin import list_filters, requeue_pages
from guestbook.web.admin.list_filters import Filters
from guestbook.web.admin.requeue_pages import Selection


def read() -> lists.Deliveries:
    """Return the filters; raises Refused with a sentence for each wrong one."""
    values = list_filters.read(DELIVERY_FILTERS)
    return lists.Deliveries(webhook_id=values.pop("webhook"), **values)


def selection() -> Selection:
    """Return which deliveries to redeliver."""
    if not request.values.get("failed"):
        return requeue_pages.selected(Delivery, "deliveries", "redelivered")
    webhook_id, since, fields = requeue_pages.all_failed("webhook", _webhook)
    return lists.Deliveries(status="failed", webhook_id=webhook_id, since=since).condition(), fields


def _webhook(typed: str) -> str:
    return list_filters.owner(Webhook, typed)


def _event(typed: str) -> str:
    if typed not in EVENTS:
        raise ValueError(f"There is no event {typed!r}.")
    return typed


DELIVERY_FILTERS: Filters = {
    "status": list_filters.status,
    "webhook": _webhook,
    "event": _event,
    "since": clock.typed,
    "until": clock.typed,
    "text": text.clean_line,
}

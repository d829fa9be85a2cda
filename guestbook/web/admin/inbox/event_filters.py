"""The filters of the inbox, and the selection to reprocess."""

from flask import request

from guestbook.lib import clock, text
from guestbook.queries import lists
from guestbook.storage.models import InboundEvent, Source
from guestbook.web.admin import list_filters, requeue_pages
from guestbook.web.admin.list_filters import Filters
from guestbook.web.admin.requeue_pages import Selection


def read() -> lists.InboundEvents:
    """Return the filters; raises Refused with a sentence for each wrong one."""
    values = list_filters.read(EVENT_FILTERS)
    return lists.InboundEvents(source_id=values.pop("source"), **values)


def selection() -> Selection:
    """Return which events to reprocess."""
    if not request.values.get("failed"):
        return requeue_pages.selected(InboundEvent, "events", "reprocessed")
    source_id, since, fields = requeue_pages.all_failed("source", _source)
    return lists.InboundEvents(status="failed", source_id=source_id, since=since).condition(), fields


def _source(typed: str) -> str:
    return list_filters.owner(Source, typed)


EVENT_FILTERS: Filters = {
    "status": list_filters.status,
    "source": _source,
    "event": text.clean_line,
    "sender": text.clean_line,
    "external_id": text.clean_line,
    "since": clock.typed,
    "until": clock.typed,
    "text": text.clean_line,
}

"""Which inbound events a request means: as `meant` for the deliveries."""

from flask import request

from guestbook.lib import clock, text
from guestbook.queries import listing
from guestbook.storage.models import InboundEvent, Source
from guestbook.web.admin import requeue_pages
from guestbook.web.admin.requeue_pages import Filters, Selection


def filtered() -> listing.InboundEvents:
    """Read the filters; what is wrong is refused, field by field."""
    values = requeue_pages.read(EVENT_FILTERS)
    return listing.InboundEvents(source_id=values.pop("source"), **values)


def chosen() -> Selection:
    """Read which are to be reprocessed."""
    if not request.values.get("failed"):
        return requeue_pages.selected(InboundEvent, "events", "reprocessed")
    source_id, since, fields = requeue_pages.failed("source", _source)
    return listing.InboundEvents(status="failed", source_id=source_id, since=since).condition(), fields


def _source(typed: str) -> str:
    return requeue_pages.owner(Source, typed)


EVENT_FILTERS: Filters = {
    "status": requeue_pages.status,
    "source": _source,
    "event": text.clean_line,
    "sender": text.clean_line,
    "external_id": text.clean_line,
    "since": clock.typed,
    "until": clock.typed,
    "text": text.clean_line,
}

"""Which inbound events a request means: as `meant` for the deliveries."""

from flask import request

from guestbook import browse, clock, text
from guestbook.models import InboundEvent, Source
from guestbook.web.admin import queued
from guestbook.web.admin.queued import Chosen, Filters


def filtered() -> browse.InboundEvents:
    """Read the filters; what is wrong is refused, field by field."""
    values = queued.read(FILTERS)
    return browse.InboundEvents(source_id=values.pop("source"), **values)


def chosen() -> Chosen:
    """Read which are to be reprocessed."""
    if not request.values.get("failed"):
        return queued.ticked(InboundEvent, "events", "reprocessed")
    source_id, since, fields = queued.failed("source", _source)
    return browse.InboundEvents(status="failed", source_id=source_id, since=since).condition(), fields


def _source(typed: str) -> str:
    return queued.owner(Source, typed)


FILTERS: Filters = {
    "status": queued.status,
    "source": _source,
    "event": text.clean_line,
    "sender": text.clean_line,
    "external_id": text.clean_line,
    "since": clock.typed,
    "until": clock.typed,
    "text": text.clean_line,
}

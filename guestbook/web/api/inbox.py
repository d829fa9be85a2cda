"""/inbox: list, show, reprocess."""

from flask import Blueprint
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Conflict

from guestbook.inbound import source_shapes
from guestbook.lib import clock
from guestbook.queries import filtered_lists
from guestbook.queue import erasure, redelivery
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Source
from guestbook.web.api import idempotency, request_reader, searches, serializers
from guestbook.web.row_lookup import find

calls = Blueprint("inbox", __name__, url_prefix="/inbox")

BEING_PROCESSED = "A pass is processing this event now. Try again in a moment."


@calls.get("")
def index() -> ResponseReturnValue:
    """List inbound events without their headers and payloads."""
    query = request_reader.query()
    wanted = filtered_lists.InboundEvents(
        status=query.get("status"),
        source_id=query.get("source"),
        since=request_reader.moment(query.get("since")),
        until=request_reader.moment(query.get("until")),
        text=searches.text(query),
        **{name: searches.words(query, name) for name in ("event", "sender", "external_id")},
    )
    page = filtered_lists.inbound_events(
        db.session(), wanted, before=query.get("before"), limit=query["limit"]
    )
    return serializers.page("inbound_events", page, source_shapes.inbound_event, query)


@calls.get("/<event_id>")
def one(event_id: str) -> ResponseReturnValue:
    """Show an event with its headers, payload and verification."""
    event = find(InboundEvent, event_id)
    return serializers.inbound_event_in_full(event, find(Source, event.source_id))


@calls.post("/<event_id>/reprocess")
def reprocess(event_id: str) -> ResponseReturnValue:
    """Reprocess with the next pass, with the source's settings of that time."""
    with writing() as session:
        event = find(InboundEvent, event_id)
        free = redelivery.make_due(session, InboundEvent, [event.id], clock.now())
        if not free:
            raise Conflict(erasure.INBOUND_ERASED if event.erased_at else BEING_PROCESSED)
        return idempotency.keep(session, source_shapes.inbound_event(free[0]), 202)

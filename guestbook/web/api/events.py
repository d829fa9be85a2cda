"""/events: the events that webhooks can get, for everybody who writes a receiver.

Like the OpenAPI document, which contains the same schemas, they need no token.
"""

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue

from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries.filtered_lists import RowPage
from guestbook.web.api import request_reader, serializers

calls = Blueprint("events", __name__, url_prefix="/events")


@calls.get("")
def index() -> ResponseReturnValue:
    """List them, in the order of the catalogue."""
    query, names = request_reader.query(), list(EVENTS)
    first = names.index(query["before"]) + 1 if "before" in query else 0
    last = first + query["limit"]
    older = names[last - 1] if last < len(names) else None
    page = RowPage([EVENTS[name] for name in names[first:last]], older)
    return serializers.page("events", page, serializers.event_type, query)


@calls.get("/<event_name>")
def one(event_name: str) -> ResponseReturnValue:
    """Show one."""
    if event_name not in EVENTS:
        abort(404, f"There is no such event. The events are {', '.join(EVENTS)}.")
    return serializers.event_type(EVENTS[event_name])

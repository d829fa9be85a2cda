"""/events: the events that webhooks can get, for everybody who writes a receiver.

Like the OpenAPI document, which contains the same schemas, they need no token.
"""

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue

from guestbook.outbound.event_catalogue import EVENTS
from guestbook.web.api import serializers

calls = Blueprint("events", __name__, url_prefix="/events")


@calls.get("")
def index() -> ResponseReturnValue:
    """List all of them."""
    return {"events": [serializers.event_type(event) for event in EVENTS.values()]}


@calls.get("/<event_name>")
def one(event_name: str) -> ResponseReturnValue:
    """Show one."""
    if event_name not in EVENTS:
        abort(404, f"There is no such event. The events are {', '.join(EVENTS)}.")
    return serializers.event_type(EVENTS[event_name])

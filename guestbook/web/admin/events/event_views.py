"""The page of the events: when each is sent, what its body holds, and an example."""

import json
from dataclasses import dataclass

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from guestbook.lib import json_schema
from guestbook.lib.json_schema import SchemaField
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.event_catalogue.event_type import EventType

pages = Blueprint("events", __name__, url_prefix="/events")


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """An event as the page shows it."""

    type: EventType
    fields: list[SchemaField]
    example: str  # indented JSON


@pages.get("/")
def show() -> ResponseReturnValue:
    """Show the catalogue of events."""
    return render_template(
        "admin/events.html", events=map(_shown, EVENTS.values()), in_words=json_schema.in_words
    )


def _shown(event: EventType) -> ShownEvent:
    example = json.dumps(event.example(), ensure_ascii=False, indent=2)
    return ShownEvent(event, list(json_schema.fields(event.schema())), example)

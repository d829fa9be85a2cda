"""The page of the events: when each is sent, what its body holds, and an example."""

import json
from dataclasses import dataclass

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from guestbook.outbound.event_catalogue import EVENTS, own_fields, shared_fields
from guestbook.outbound.event_catalogue.event_type import EventField, EventType

pages = Blueprint("events", __name__, url_prefix="/events")


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """An event as the page shows it."""

    type: EventType
    fields: list[EventField]  # besides the shared ones
    example: str  # indented JSON


@pages.get("/")
def show() -> ResponseReturnValue:
    """Show the catalogue of events."""
    return render_template("admin/events.html", shared=shared_fields(), events=map(_shown, EVENTS.values()))


def _shown(event: EventType) -> ShownEvent:
    example = json.dumps(event.example(), ensure_ascii=False, indent=2)
    return ShownEvent(event, own_fields(event), example)

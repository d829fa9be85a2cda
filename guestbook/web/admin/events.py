"""The page of the events that webhooks can get."""

import json

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from guestbook.outbound.event_catalogue import EVENTS, own_fields, shared_fields

pages = Blueprint("events", __name__, url_prefix="/events")


@pages.get("/")
def show() -> ResponseReturnValue:
    """Show the catalogue of events."""
    shown = [
        (event, own_fields(event), json.dumps(event.example(), ensure_ascii=False, indent=2))
        for event in EVENTS.values()
    ]
    return render_template("admin/events.html", shared=shared_fields(), events=shown)

"""The pages of inbound events."""

from datetime import datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from guestbook.inbound import body_parser, verify_and_decide
from guestbook.lib import clock
from guestbook.lib.text import clean_line
from guestbook.queries import filtered_lists
from guestbook.queue import erasure
from guestbook.storage.models import InboundEvent, Source
from guestbook.web import request_context, row_lookup
from guestbook.web.admin.queue_list import QueueList

pages = Blueprint("inbox", __name__, url_prefix="/inbox")

EVENT_LIST = QueueList(
    model=InboundEvent,
    owner=Source,
    conditions=filtered_lists.InboundEvents,
    find=filtered_lists.inbound_events,
    filters=dict.fromkeys(("event", "sender", "external_id"), clean_line),
    statuses=[("new", "waiting"), ("processed", "processed"), ("failed", "failed")],
    payload_suffix="bin",
    noun=("event", "events"),
    verb="reprocess",
    sends="processes",
    sending="processing",
    requeued="It is due now: the next pass processes it with the source's present settings.",
    replaced="",
    erased=erasure.INBOUND_ERASED,
)
EVENT_LIST.add_rules(pages)


@pages.get("/")
def index() -> ResponseReturnValue:
    """List inbound events, newest first, by the filters."""
    return EVENT_LIST.show("admin/inbox.html")


@pages.get("/<event_id>")
def show(event_id: str) -> ResponseReturnValue:
    """Show one event: its payload, its verification and its result."""
    event = row_lookup.find(InboundEvent, event_id)
    source = row_lookup.find(Source, event.source_id)
    return render_template(
        "admin/inbound_event.html",
        event=event,
        source=source,
        headers=event.shown_headers,
        views=body_parser.views(event.headers, event.body),
        verdict=verify_and_decide.verify(event, source, request_context.settings().secret_keys),
        outlook=_outlook(event, source, clock.now()),
        is_live=event.status == "new" and not source.disabled_at,
        is_forwarded=event.status == "processed" and source.action == "forward",
    )


def _outlook(event: InboundEvent, source: Source, now: datetime) -> str:
    """Say when it is processed next."""
    if event.due_at is None:
        return ""
    if event.is_leased(now):
        return "a pass is processing it now"
    return "waits because the source is disabled" if source.disabled_at else "with the next pass"

"""The pages of the inbox: the list, one event with its verification, and reprocessing."""

from datetime import datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from guestbook.inbound import evaluate, event_view
from guestbook.lib import clock, text
from guestbook.queries import lists
from guestbook.queue import erasure
from guestbook.storage.models import InboundEvent, Source
from guestbook.web import current, row_lookup
from guestbook.web.admin import responses
from guestbook.web.admin.queue_list import QueueList

pages = Blueprint("inbox", __name__, url_prefix="/inbox")

EVENT_STATUSES = [("new", "waiting"), ("processed", "processed"), ("failed", "failed")]
EVENT_LIST = QueueList(
    model=InboundEvent,
    owner=Source,
    conditions=lists.InboundEvents,
    find=lists.inbound_events,
    filters={
        **dict.fromkeys(("event", "sender", "external_id"), text.clean_line),
        "since": clock.typed,
        "until": clock.typed,
        "text": text.clean_line,
    },
    template="admin/reprocess.html",
    noun=("event", "events"),
    requeued="reprocessed",
    sends="processes",
    sending="processing",
    erased=erasure.INBOUND_ERASED,
)


@pages.get("/")
def index() -> ResponseReturnValue:
    """List inbound events, newest first, by the filters."""
    shown = EVENT_LIST.page()
    sources = [(source.id, source.name) for source in shown["sources"].values()]
    page = render_template("admin/inbox.html", **shown, choices={"status": EVENT_STATUSES, "source": sources})
    return page, 422 if shown["reasons"] else 200


@pages.get("/<event_id>")
def show(event_id: str) -> ResponseReturnValue:
    """Show one event: its payload, its verification and its result."""
    event = row_lookup.find(InboundEvent, event_id)
    source = row_lookup.find(Source, event.source_id)
    return render_template(
        "admin/inbound_event.html",
        event=event,
        source=source,
        headers=event_view.headers(event),
        views=event_view.payload(event),
        verdict=evaluate.verify(event, source, current.settings().secret_key),
        outlook=_outlook(event, source, clock.now()),
        is_live=event.status == "new" and not source.disabled_at,
        is_forwarded=event.status == "processed" and source.action == "forward",
    )


@pages.get("/<event_id>/payload")
def payload(event_id: str) -> ResponseReturnValue:
    """Return the exact bytes that were received."""
    event = row_lookup.find(InboundEvent, event_id)
    return responses.download(event.body, f"{event.id}.bin")


@pages.post("/<event_id>/reprocess")
def reprocess(event_id: str) -> ResponseReturnValue:
    """Make one event due now."""
    then = "It is due now: the next pass processes it with the source's present settings."
    return responses.done(EVENT_LIST.requeue(event_id, then), ".show", event_id=event_id)


@pages.get("/reprocess")
def confirm() -> ResponseReturnValue:
    """Say how many events it would be, before anything happens."""
    return EVENT_LIST.confirm()


@pages.post("/reprocess")
def reprocess_many() -> ResponseReturnValue:
    """Make many events due now."""
    return EVENT_LIST.requeue_many()


def _outlook(event: InboundEvent, source: Source, now: datetime) -> str:
    """Say when it is processed next."""
    if event.due_at is None:
        return ""
    if event.is_leased(now):
        return "a pass is processing it now"
    return "waits because the source is disabled" if source.disabled_at else "with the next pass"

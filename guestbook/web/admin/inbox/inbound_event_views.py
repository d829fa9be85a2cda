"""The pages of the inbox: the list, one event with its verification, and reprocessing."""

from datetime import datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from guestbook.inbound import evaluate, event_view
from guestbook.lib import clock
from guestbook.queries import lists
from guestbook.queue import erasure, requeue
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Source
from guestbook.web import current, row_lookup
from guestbook.web.admin import list_filters, requeue_pages, responses
from guestbook.web.admin.inbox import event_filters

pages = Blueprint("inbox", __name__, url_prefix="/inbox")

EVENT_STATUSES = [("new", "waiting"), ("processed", "processed"), ("failed", "failed")]
REPROCESS_PAGE = "admin/reprocess.html"


@pages.get("/")
def index() -> ResponseReturnValue:
    """List inbound events, newest first, by the filters."""
    shown = list_filters.list_page(
        event_filters.EVENT_FILTERS, event_filters.read, lists.inbound_events, lists.InboundEvents()
    )
    sources = {row.id: row for row in db.session.scalars(select(Source).order_by(Source.name, Source.id))}
    choices = {"status": EVENT_STATUSES, "source": [(source.id, source.name) for source in sources.values()]}
    page = render_template("admin/inbox.html", **shown, sources=sources, choices=choices)
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
    with writing() as session:
        event = row_lookup.find(InboundEvent, event_id)
        is_free = bool(requeue.make_due(session, InboundEvent, [event.id], clock.now()))
        is_disabled = row_lookup.find(Source, event.source_id).disabled_at is not None
    sentence = erasure.INBOUND_ERASED if event.erased_at else _requeued(is_free, is_disabled)
    return responses.done(sentence, "admin.inbox.show", event_id=event_id)


@pages.get("/reprocess")
def confirm() -> ResponseReturnValue:
    """Say how many events it would be, before anything happens."""
    return requeue_pages.confirm(InboundEvent, event_filters.selection, REPROCESS_PAGE)


@pages.post("/reprocess")
def reprocess_many() -> ResponseReturnValue:
    """Make many events due now."""
    return requeue_pages.requeue_many(InboundEvent, event_filters.selection, REPROCESS_PAGE, _many_requeued)


def _outlook(event: InboundEvent, source: Source, now: datetime) -> str:
    """Say when it is processed next."""
    if event.due_at is None:
        return ""
    if event.is_leased(now):
        return "a pass is processing it now"
    return "waits because the source is disabled" if source.disabled_at else "with the next pass"


def _requeued(is_free: bool, is_disabled: bool) -> str:
    if not is_free:
        return "A pass is processing it now, so nothing was changed. Look again in a moment."
    if is_disabled:
        return "It is due now, and waits until its source is enabled."
    return "It is due now: the next pass processes it with the source's present settings."


def _many_requeued(count: int) -> str:
    number = "1 event is" if count == 1 else f"{count:,} events are"
    return f"{number} due now. The next pass processes {'it' if count == 1 else 'them'}."

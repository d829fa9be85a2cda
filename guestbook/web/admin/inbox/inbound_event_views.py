"""The inbox: what others have sent, how it was verified, what became of it; do it again."""

from collections.abc import Iterable
from datetime import datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from guestbook.inbound import evaluate, event_view
from guestbook.lib import clock
from guestbook.queries import listing
from guestbook.queue import erasure, requeue
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Source
from guestbook.web import current, row_lookup
from guestbook.web.admin import requeue_pages, responses
from guestbook.web.admin.inbox import event_filters

EVENT_STATUSES = [("new", "waiting"), ("processed", "processed"), ("failed", "failed")]
pages = Blueprint("inbox", __name__, url_prefix="/inbox")


@pages.get("/")
def index() -> ResponseReturnValue:
    """List inbound events, newest first, those that the filters ask for."""
    listed = requeue_pages.list_page(
        event_filters.EVENT_FILTERS, event_filters.filtered, listing.inbound_events, listing.InboundEvents()
    )
    sources = {row.id: row for row in db.session.scalars(select(Source).order_by(Source.name, Source.id))}
    return render_template(
        "admin/inbox.html",
        **listed,
        sources=sources,
        choices=_choices(sources.values()),
    ), 422 if listed["reasons"] else 200


@pages.get("/<event_id>")
def show(event_id: str) -> ResponseReturnValue:
    """Show one: what came, how it is verified, what became of it."""
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
        is_passed_on=event.status == "processed" and source.action == "forward",
    )


@pages.get("/<event_id>/payload")
def payload(event_id: str) -> ResponseReturnValue:
    """Give the exact bytes that came."""
    event = row_lookup.find(InboundEvent, event_id)
    return responses.download(event.body, f"{event.id}.bin")


@pages.post("/<event_id>/reprocess")
def reprocess(event_id: str) -> ResponseReturnValue:
    """Make one due at once."""
    with writing() as session:
        event = row_lookup.find(InboundEvent, event_id)
        is_free = bool(requeue.make_due(session, InboundEvent, [event.id], clock.now()))
        is_disabled = row_lookup.find(Source, event.source_id).disabled_at is not None
    told = erasure.INBOUND_ERASED if event.erased_at else _requeued(is_free, is_disabled)
    return responses.done(told, "admin.inbox.show", event_id=event_id)


@pages.get("/reprocess")
def ask() -> ResponseReturnValue:
    """Say how many it would be, before anything happens."""
    return requeue_pages.confirm(InboundEvent, event_filters.chosen, "admin/reprocess.html")


@pages.post("/reprocess")
def reprocess_many() -> ResponseReturnValue:
    """Make many due at once."""
    return requeue_pages.requeue_many(
        InboundEvent, event_filters.chosen, "admin/reprocess.html", _many_requeued
    )


def _choices(sources: Iterable[Source]) -> dict[str, list[tuple[str, str]]]:
    """Return what the filters can be set to, as values and words."""
    return {
        "status": EVENT_STATUSES,
        "source": [(source.id, source.name) for source in sources],
    }


def _outlook(event: InboundEvent, source: Source, now: datetime) -> str:
    """Say when it is worked through."""
    if event.due_at is None:
        return ""
    if event.is_leased(now):
        return "a pass works on it now"
    return "waits, for the source is disabled" if source.disabled_at else "with the next pass"


def _requeued(is_free: bool, is_disabled: bool) -> str:
    if not is_free:
        return "A pass works on it just now, so it was left alone. Look again in a moment."
    if is_disabled:
        return "It is due again, and waits until its source is enabled."
    return "It is due again: the next pass works through it, as the source is set by then."


def _many_requeued(count: int) -> str:
    number = "1 event is" if count == 1 else f"{count:,} events are"
    return f"{number} due again, for the next pass."

"""Try a template with received events or samples. Nothing is stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.comments.comment_form import Draft
from guestbook.inbound import evaluate, sample_events
from guestbook.inbound.decision import InboundDecision, WriteComment
from guestbook.inbound.evaluate import ReceivedEvent
from guestbook.lib import clock
from guestbook.storage.models import InboundEvent, Source

EVENTS_TRIED = 5  # until one gives a comment: each may take half a second


@dataclass(frozen=True, slots=True)
class TemplatePreview:
    """What a template makes of an event."""

    what: str  # the event, in words
    draft: Draft | None  # the comment, if there is one
    sentence: str  # why there is none
    is_error: bool


def of(
    session: Session, source_id: str | None, name: str, verify: str, template: str, base_url: str
) -> TemplatePreview:
    """Try it with the latest events of a source, the newest first, or with samples if there are none."""
    trial = Source(name=name, verify="none", action="comment", template=template)  # as if all were genuine
    latest = list(_latest(session, source_id)) if source_id else []
    samples = (
        ("a sample, because nothing has come yet", ReceivedEvent("", one.headers, one.body, clock.now()))
        for one in sample_events.of(verify)
    )
    return _best(
        _preview(what, evaluate.evaluate(event, trial, base_url=base_url, proof_keys=()))
        for what, event in latest or samples
    )


def _latest(session: Session, source_id: str) -> Iterator[tuple[str, ReceivedEvent]]:
    query = select(InboundEvent).where(InboundEvent.source_id == source_id)
    for row in session.scalars(query.order_by(InboundEvent.id.desc()).limit(EVENTS_TRIED)):
        what = f"{row.event or 'the event'} that came {clock.ago(row.received_at)}"
        yield what, ReceivedEvent(row.id, row.headers, row.body, row.received_at)


def _best(previews: Iterator[TemplatePreview]) -> TemplatePreview:
    """Return the first that gives a comment or fails; else the first."""
    first = next(previews)  # there is always a sample
    return next((one for one in chain([first], previews) if one.draft or one.is_error), first)


def _preview(what: str, decision: InboundDecision) -> TemplatePreview:
    action = decision.action
    draft = action.draft if isinstance(action, WriteComment) else None
    sentence = decision.error or decision.note or "The other book removed this comment."
    return TemplatePreview(what, draft, sentence, decision.error is not None)

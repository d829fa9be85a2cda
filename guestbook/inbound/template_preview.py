"""Try a template with received events or samples. Nothing is stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.comments.comment_form import Draft
from guestbook.inbound import body_parser, verify_and_decide
from guestbook.inbound import samples as sample_events
from guestbook.inbound.body_parser import BodyError
from guestbook.inbound.verify_and_decide import InboundDecision, ReceivedEvent, WriteComment
from guestbook.lib import byte_view, clock
from guestbook.lib.byte_view import View
from guestbook.lib.redaction import HIDDEN
from guestbook.lib.verification import verify_signature
from guestbook.storage.models import InboundEvent, Source

EVENTS_TRIED = 5  # until one gives a comment: each may take half a second


@dataclass(frozen=True, slots=True)
class TemplatePreview:
    """What a template makes of an event."""

    what: str  # the event, in words
    draft: Draft | None  # the comment, if there is one
    sentence: str  # why there is none
    is_error: bool


def preview_of(
    session: Session, source_id: str | None, name: str, verify: str, template: str, base_url: str
) -> TemplatePreview:
    """Try it with the latest events of a source, the newest first, or with samples if there are none."""
    trial = Source(name=name, verify="none", action="comment", template=template)  # as if all were genuine
    latest = list(_latest(session, source_id)) if source_id else []
    samples = (
        ("a sample, because nothing has come yet", ReceivedEvent("", one.headers, one.body, clock.now()))
        for one in sample_events.samples_of(verify)
    )
    return _best(
        _preview(what, verify_and_decide.decide(event, trial, base_url=base_url, proof_keys=()))
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


def shown_headers(event: InboundEvent) -> dict[str, str]:
    """Return the kept headers; the proof of a secret is hidden."""
    return {
        name: HIDDEN if value.startswith(verify_signature.PROOF) else value
        for name, value in event.headers.items()
    }


def shown_payload(event: InboundEvent) -> list[View]:
    """Return each way to read the payload, unpacked if it was compressed."""
    try:
        body = body_parser.beginning(
            event.headers.get("content-encoding", ""), event.body, byte_view.READ_BYTES + 1
        )
    except BodyError:
        body = event.body
    return byte_view.views(body, event.headers.get("content-type", ""))

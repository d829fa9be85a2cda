"""Try a template over what has come, or over a sample: the comment as it would be; nothing is stored."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.comments.comment_form import Draft
from guestbook.inbound import evaluate, sample_events
from guestbook.inbound.evaluate import Arrived, Comment, Judgement
from guestbook.lib import clock
from guestbook.storage.models import InboundEvent, Source

MOST = 5  # events that are tried until one gives a comment: each may take half a second

Tried = tuple[str, Judgement]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a template makes of an event."""

    what: str  # the event, in words
    draft: Draft | None  # the comment; None when there is none
    sentence: str  # why there is none
    is_fault: bool  # whether that is a fault


def of(
    session: Session, source_id: str | None, name: str, verify: str, template: str, base_url: str
) -> Preview:
    """Try it over the latest events of a source, the newest first; where none has come, over samples."""
    trial = Source(name=name, verify="none", action="comment", template=template)  # as if all were genuine
    latest = list(_latest(session, source_id)) if source_id else []
    events = latest or list(_samples(verify))
    return _best((what, _judge(event, trial, base_url)) for what, event in events)


def _latest(session: Session, source_id: str) -> Iterator[tuple[str, Arrived]]:
    query = select(InboundEvent).where(InboundEvent.source_id == source_id)
    for row in session.scalars(query.order_by(InboundEvent.id.desc()).limit(MOST)):
        what = f"{row.event or 'the event'} that came {clock.ago(row.received_at)}"
        yield what, Arrived(row.id, row.headers, row.body, row.received_at, "", 0)


def _samples(verify: str) -> Iterator[tuple[str, Arrived]]:
    for headers, body in sample_events.of(verify):
        yield "a sample, for nothing has come yet", Arrived("", headers, body, clock.now(), "", 0)


def _judge(event: Arrived, trial: Source, base_url: str) -> Judgement:
    return evaluate.judge(event, trial, base_url=base_url, proof_key="")


def _best(tried: Iterable[Tried]) -> Preview:
    """Return the first that gives a comment or fails; else the first."""
    first: Preview | None = None
    for what, judgement in tried:
        preview = _preview(what, judgement)
        if preview.draft or preview.is_fault:
            return preview
        first = first or preview
    assert first, "there is always a sample"
    return first


def _preview(what: str, judgement: Judgement) -> Preview:
    deed = judgement.deed
    draft = deed.draft if isinstance(deed, Comment) else None
    sentence = judgement.error or judgement.note or "The other book took this comment out."
    return Preview(what, draft, sentence, judgement.error is not None)

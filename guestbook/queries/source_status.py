"""The status of sources, in words."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, load_only

from guestbook.lib import clock
from guestbook.queries import bounded_counts
from guestbook.storage import source_budget
from guestbook.storage.models import InboundEvent, Source

FULL = "Unverified events fill its {} MB. Until a pass makes room, {} is accepted."
LATEST_EVENT = (InboundEvent.id, InboundEvent.status, InboundEvent.error, InboundEvent.received_at)


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The status of a source. Counts end at COUNT_LIMIT and one, which means more than that."""

    source: Source
    word: str  # well, failing, silent or disabled
    sentence: str
    last_at: datetime | None  # when the latest event arrived
    waiting: int


def all_of(session: Session, *, limit: int | None = None) -> list[SourceStatus]:
    """Return the status of all sources or of so many, the oldest first."""
    query = select(Source).order_by(Source.id).limit(limit)
    return [of(session, source) for source in session.scalars(query)]


def of(session: Session, source: Source) -> SourceStatus:
    """Return the status of one source."""
    mine = InboundEvent.source_id == source.id
    newest = select(InboundEvent).where(mine).order_by(InboundEvent.id.desc()).limit(1)
    latest = session.scalars(newest.options(load_only(*LATEST_EVENT))).first()
    waiting = bounded_counts.count_some(session, mine & InboundEvent.due_at.is_not(None), InboundEvent)
    word, sentence = _words(source, latest, waiting)
    if source_budget.is_full(source) and waiting:
        still = "nothing more" if source.verify == "none" else "only what it has signed"
        sentence += f" {FULL.format(source.budget_mb, still)}"
    return SourceStatus(source, word, sentence, latest.received_at if latest else None, waiting)


def _words(source: Source, latest: InboundEvent | None, waiting: int) -> tuple[str, str]:
    if source.disabled_at:
        waits = _wait(waiting, "until it is enabled")
        return "disabled", f"Disabled {clock.ago(source.disabled_at)}: what comes is stored, no more. {waits}"
    if latest is None:
        return "silent", "Nothing has come yet."
    came = clock.ago(latest.received_at)
    if latest.status == "failed":
        return "failing", f"What came {came} failed. {latest.error or ''}".rstrip()
    return "well", f"The latest came {came}. {_wait(waiting, 'for the next pass')}"


def _wait(waiting: int, for_what: str) -> str:
    words = bounded_counts.waiting_words(waiting, "event", "events", for_what)
    return f"{words[0].upper()}{words[1:]}." if waiting else "Nothing waits."

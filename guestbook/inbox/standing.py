"""How the sources are doing, in words."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, load_only

from guestbook import browse, clock, ids
from guestbook.models import InboundEvent, Source

LATELY = timedelta(days=7)  # in which failed events count
LATEST = (InboundEvent.id, InboundEvent.status, InboundEvent.error, InboundEvent.received_at)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a source is doing. Counts end at `browse.COUNT` and one, which means more than that."""

    source: Source
    word: str  # well, failing, silent or disabled
    sentence: str
    last_at: datetime | None  # when the latest event came
    waiting: int
    failed: int  # lately


def all_of(session: Session, now: datetime) -> list[Standing]:
    """Return how all sources are doing, the oldest first."""
    failed = _failed_lately(session, now)
    rows = session.scalars(select(Source).order_by(Source.id))
    return [_standing(session, source, failed.get(source.id, 0)) for source in rows]


def of(session: Session, source: Source, now: datetime) -> Standing:
    """Return how one source is doing."""
    return _standing(session, source, _failed_lately(session, now).get(source.id, 0))


def _standing(session: Session, source: Source, failed: int) -> Standing:
    mine = InboundEvent.source_id == source.id
    newest = select(InboundEvent).where(mine).order_by(InboundEvent.id.desc()).limit(1)
    latest = session.scalars(newest.options(load_only(*LATEST))).first()
    waiting = _count_some(session, mine & InboundEvent.due_at.is_not(None))
    word, sentence = _words(source, latest, waiting)
    return Standing(source, word, sentence, latest.received_at if latest else None, waiting, failed)


def _words(source: Source, latest: InboundEvent | None, waiting: int) -> tuple[str, str]:
    if source.disabled_at:
        waits = _wait(waiting, "until it is enabled")
        return "disabled", f"Disabled {clock.ago(source.disabled_at)}: what comes is stored, no more. {waits}"
    if latest is None:
        return "silent", "Nothing has come yet."
    came = clock.ago(latest.received_at)
    if latest.status == "failed":
        return "failing", f"What came {came} failed. {latest.error or ''}".rstrip()
    waits = _wait(waiting, "for the next pass") if waiting else "Nothing waits."
    return "well", f"The latest came {came}. {waits}"


def _failed_lately(session: Session, now: datetime) -> dict[str, int]:
    """Count the failed events of the last days by source, with one look at a bounded number of rows."""
    lately = (InboundEvent.status == "failed") & (InboundEvent.id >= ids.first_of(now - LATELY))
    some = select(InboundEvent.source_id).where(lately).limit(browse.COUNT + 1).subquery()
    rows = session.execute(select(some.c.source_id, func.count().label("many")).group_by(some.c.source_id))
    return {row.source_id: row.many for row in rows}


def _count_some(session: Session, condition: ColumnElement[bool]) -> int:
    """Return how many events those are, at most one more than `browse.COUNT`."""
    some = select(InboundEvent.id).where(condition).limit(browse.COUNT + 1).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def _wait(waiting: int, for_what: str) -> str:
    if waiting <= 1:
        return f"One event waits {for_what}." if waiting else "Nothing waits."
    many = f"{waiting:,}" if waiting <= browse.COUNT else f"More than {browse.COUNT:,}"
    return f"{many} events wait {for_what}."

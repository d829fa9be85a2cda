"""Counts of rows that end at a limit, so that a page is as quick in a book of years."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from guestbook.lib import ids
from guestbook.storage.models import Comment, Delivery, InboundEvent

COUNT_LIMIT = 10_000  # rows that are counted before it is "more than"
RECENT = timedelta(days=7)  # in which failed ones are counted by webhook or source,
FAILED_LIMIT = 500  # so many at the most: no index says whose they are, so each has to be looked up

M = TypeVar("M", Comment, Delivery, InboundEvent)


@dataclass(frozen=True, slots=True)
class Lately:
    """How many rows failed in the last days, by the id of their webhook or source."""

    counts: dict[str, int]
    cut_at: int | None = None  # so many were too many to count: only the newest are


def count_some(session: Session, condition: ColumnElement[bool], model: type[M]) -> int:
    """Return how many rows those are, at most COUNT_LIMIT and one: by an index it takes a millisecond."""
    some = select(model.id).where(condition).limit(COUNT_LIMIT + 1).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def waiting_words(count: int, one: str, many: str, for_what: str) -> str:
    """Say how many rows wait for what, as counted by `count_some`: `one delivery waits until then`."""
    if count == 1:
        return f"one {one} waits {for_what}"
    number = f"{count:,}" if count <= COUNT_LIMIT else f"more than {COUNT_LIMIT:,}"
    return f"{number} {many} wait {for_what}"


def failed_lately(session: Session, model: type[Delivery] | type[InboundEvent], now: datetime) -> Lately:
    """Count the failed rows of the last days by whose they are, with one look at a bounded number of them."""
    owner = model.webhook_id if issubclass(model, Delivery) else model.source_id
    lately = (model.status == "failed") & (model.id >= ids.first_of(now - RECENT))
    newest = select(owner.label("owner")).where(lately).order_by(model.id.desc())
    some = newest.limit(FAILED_LIMIT + 1).subquery()
    rows = session.execute(select(some.c.owner, func.count().label("many")).group_by(some.c.owner))
    counts = {row.owner: row.many for row in rows}
    return Lately(counts, cut_at=FAILED_LIMIT if sum(counts.values()) > FAILED_LIMIT else None)

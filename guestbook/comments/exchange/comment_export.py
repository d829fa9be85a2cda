"""All comments of the book as rows of text, in one consistent snapshot, a few at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, func, select

from guestbook.lib import clock, ids
from guestbook.storage.models import Comment, Origin, Reply

FETCHED_ROWS = 500  # at once

# A field of a file → its column.
COLUMNS = {
    "id": Comment.id,
    "name": Comment.name,
    "website": Comment.website,
    "message": Comment.message,
    "place": Comment.place,
    "note": Comment.note,
    "status": Comment.status,
    "reason": Comment.reason,
    "reasons": Comment.reasons,
    "created_at": Comment.created_at,
    "announced_at": Comment.announced_at,
    "edited_at": Comment.edited_at,
    "number": Comment.number,
    "reply": Reply.message,
    "reply_created_at": Reply.created_at,
    "origin_name": Origin.name,
    "origin_url": Origin.url,
    "origin_told_at": Origin.told_at,
    "last_sequence": Comment.last_sequence,
    "origin_source_id": Origin.source_id,
}


@dataclass(frozen=True, slots=True)
class ExportedComments:
    """Which comments; None is all."""

    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    name: str | None = None  # of the visitor, exactly

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """Return the query for these alone."""
        if self.status:
            query = query.where(Comment.status == self.status)
        if self.name is not None:
            query = query.where(Comment.name == self.name)
        if self.since:
            query = query.where(Comment.id >= ids.first_of(self.since))
        return query.where(Comment.id < ids.first_of(self.until)) if self.until else query


def count(connection: Connection, wanted: ExportedComments) -> int:
    """Return how many comments those are."""
    return connection.scalar(wanted.narrow(select(func.count()).select_from(Comment))) or 0


def snapshot(engine: Engine) -> Connection:
    """Return a connection that sees the book as it is at its first read, whatever is written meanwhile."""
    connection = engine.connect()
    if engine.dialect.name != "sqlite":
        connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


def rows(
    connection: Connection, wanted: ExportedComments, *, newest_first: bool = False
) -> Iterator[dict[str, str]]:
    """Yield the fields of each comment, the oldest first or the newest."""
    named: Any = [column.label(f"_{name}") for name, column in COLUMNS.items()]
    query = select(*named).select_from(Comment).outerjoin(Reply).outerjoin(Origin)
    query = wanted.narrow(query).order_by(Comment.id.desc() if newest_first else Comment.id)
    for row in connection.execute(query, execution_options={"yield_per": FETCHED_ROWS}):
        yield _fields(row)


def _fields(row: Row[Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in zip(COLUMNS, row, strict=True)}


def _text(value: str | int | datetime | None) -> str:
    return clock.to_text(value) if isinstance(value, datetime) else str(value or "")

"""The comments of the book for files: rows of text in one snapshot, or a published one for a site."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select

from guestbook.comments.exchange.file_formats import FIELDS
from guestbook.lib import clock, ids
from guestbook.queries.public_comments import PublicComment
from guestbook.storage.comment_fields import PUBLIC_FIELDS
from guestbook.storage.models import Comment, Origin, Reply

FETCHED_ROWS = 500  # at once

# A field of a file → its column.
OTHER_TABLES = {
    "reply": Reply.message,
    "reply_created_at": Reply.created_at,
    "origin_name": Origin.name,
    "origin_url": Origin.url,
    "origin_told_at": Origin.told_at,
    "origin_source_id": Origin.source_id,
}
COLUMNS = {name: OTHER_TABLES[name] if name in OTHER_TABLES else getattr(Comment, name) for name in FIELDS}


@dataclass(frozen=True, slots=True)
class ExportedComments:
    """Which comments; None is all."""

    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    name: str | None = None  # the visitor's exact name

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """Return the query for these alone."""
        if self.status:
            query = query.where(Comment.status == self.status)
        if self.name is not None:
            query = query.where(Comment.name == self.name)
        if self.since:
            query = query.where(Comment.id >= ids.first_of(self.since))
        return query.where(Comment.id < ids.first_of(self.until)) if self.until else query


def count_comments(connection: Connection, wanted: ExportedComments) -> int:
    """Return how many comments those are."""
    return connection.scalar(wanted.narrow(select(func.count()).select_from(Comment))) or 0


def snapshot(engine: Engine) -> Connection:
    """Return a connection that sees the book as it is at its first read, whatever is written meanwhile."""
    connection = engine.connect()
    if engine.dialect.name != "sqlite":
        connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


def comment_rows(connection: Connection, wanted: ExportedComments) -> Iterator[dict[str, str]]:
    """Yield the fields of each comment, the oldest first."""
    named: Any = [column.label(f"_{name}") for name, column in COLUMNS.items()]
    query = wanted.narrow(select(*named).select_from(Comment).outerjoin(Reply).outerjoin(Origin))
    ordered = query.order_by(Comment.id)
    for row in connection.execute(ordered, execution_options={"yield_per": FETCHED_ROWS}):
        yield {name: _text(value) for name, value in zip(COLUMNS, row, strict=True)}


def _text(value: str | int | datetime | None) -> str:
    return clock.to_text(value) if isinstance(value, datetime) else str(value or "")


def public_fields(comment: PublicComment, base_url: str) -> dict[str, Any]:
    """Return a published comment as the API shows it."""
    fields = {
        "id": comment.id,
        **{name: getattr(comment, name) for name in PUBLIC_FIELDS},
        "created_at": clock.to_text(comment.created_at),
        "number": comment.number,
        "url": f"{base_url}/comments/{comment.id}",
        "reply": None,
    }
    if comment.reply and comment.replied_at:
        fields["reply"] = {"message": comment.reply, "created_at": clock.to_text(comment.replied_at)}
    if comment.origin:
        fields["origin"] = {"name": comment.origin, "url": comment.origin_url}
    return fields

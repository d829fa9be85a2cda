"""The comments of the book for files: all as rows of text in one snapshot, or the pages of a site."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, func, select

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


def comment_rows(
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


PUBLISHED_ONES = ExportedComments("published")


@dataclass(frozen=True, slots=True)
class SitePage:
    """A page of the site; `newer` and `older` are the names of its neighbours."""

    name: str
    number: int
    rows: list[dict[str, str]]
    newer: str | None
    older: str | None


def site_pages(connection: Connection, per_page: int) -> Iterator[SitePage]:
    """Yield all pages; an empty book has one."""
    count = max(1, math.ceil(count_comments(connection, PUBLISHED_ONES) / per_page))
    rows = comment_rows(connection, PUBLISHED_ONES, newest_first=True)
    for number in range(1, count + 1):
        yield SitePage(
            name=_name(number),
            number=number,
            rows=list(islice(rows, per_page)),
            newer=_name(number - 1) if number > 1 else None,
            older=_name(number + 1) if number < count else None,
        )


def one_comment(row: Mapping[str, str]) -> PublicComment:
    """Return a comment for its template."""
    typed: Any = {name: row[name] or None for name in PUBLIC_FIELDS}
    return PublicComment(
        id=row["id"],
        created_at=clock.from_text(row["created_at"]),
        replied_at=clock.from_text(row["reply_created_at"]) if row["reply_created_at"] else None,
        reply=row["reply"] or None,
        origin=row["origin_name"] or None,
        origin_url=row["origin_url"] or None,
        number=int(row["number"]) if row["number"] else None,
        **typed,
    )


def public_fields(row: Mapping[str, str], base_url: str) -> dict[str, Any]:
    """Return a comment as the API shows it."""
    shown = {name: row[name] or None for name in ("id", *PUBLIC_FIELDS, "created_at")}
    number = int(row["number"]) if row["number"] else None
    reply = {"message": row["reply"], "created_at": row["reply_created_at"]} if row["reply"] else None
    origin = {"name": row["origin_name"], "url": row["origin_url"] or None}
    url = f"{base_url}/comments/{row['id']}"
    return {
        **shown,
        "number": number,
        "url": url,
        "reply": reply,
        **({"origin": origin} if row["origin_name"] else {}),
    }


def _name(number: int) -> str:
    return "index.html" if number == 1 else f"page-{number}.html"

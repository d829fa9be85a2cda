"""The published comments as the pages of a static site, newest first, and as JSON."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from guestbook.comments.exchange import comment_export
from guestbook.comments.exchange.comment_export import ExportedComments
from guestbook.lib import clock
from guestbook.queries.public_comments import PublicComment

PUBLIC_FIELDS = ("id", "name", "website", "place", "message", "created_at")  # never the note
PUBLISHED_ONES = ExportedComments("published")


@dataclass(frozen=True, slots=True)
class SitePage:
    """A page of the site; `newer` and `older` are the names of its neighbours."""

    name: str
    number: int
    rows: list[dict[str, str]]
    newer: str | None
    older: str | None


def pages(connection: Connection, per_page: int) -> Iterator[SitePage]:
    """Yield all pages; an empty book has one."""
    count = max(1, math.ceil(comment_export.count(connection, PUBLISHED_ONES) / per_page))
    rows = comment_export.rows(connection, PUBLISHED_ONES, newest_first=True)
    for number in range(1, count + 1):
        yield SitePage(
            name=_name(number),
            number=number,
            rows=list(islice(rows, per_page)),
            newer=_name(number - 1) if number > 1 else None,
            older=_name(number + 1) if number < count else None,
        )


def comment(row: Mapping[str, str]) -> PublicComment:
    """Return a comment for its template."""
    return PublicComment(
        id=row["id"],
        created_at=clock.from_text(row["created_at"]),
        replied_at=clock.from_text(row["reply_created_at"]) if row["reply_created_at"] else None,
        name=row["name"],
        website=row["website"] or None,
        message=row["message"],
        reply=row["reply"] or None,
        origin=row["origin_name"] or None,
        origin_url=row["origin_url"] or None,
        number=int(row["number"]) if row["number"] else None,
        place=row["place"] or None,
    )


def public(row: Mapping[str, str], base_url: str) -> dict[str, Any]:
    """Return a comment as the API shows it."""
    shown = {name: row[name] or None for name in PUBLIC_FIELDS}
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

"""The comments that readers see: a page of the book, and one comment; SQL as text, for storage.plain_sql."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from guestbook.lib import clock
from guestbook.storage.plain_sql import Select


class PublicComment(NamedTuple):
    """All that a page shows of a comment."""

    id: str
    created_at: datetime
    replied_at: datetime | None
    name: str
    website: str | None
    message: str
    reply: str | None
    origin: str | None  # The name of where it came from.
    origin_url: str | None
    number: int | None  # Its place in the order of signing.
    place: str | None
    mood: str | None
    page: str | None = None  # the address of the page that it is about


class PublicPage(NamedTuple):
    """Some comments, newest first, and where the next page goes on."""

    rows: list[PublicComment]
    older: str | None  # Before this id there are more.


ELSEWHERE = {
    "replied_at": "replies.created_at",
    "reply": "replies.message",
    "origin": "origins.name",
    "origin_url": "origins.url",
}
PUBLIC_COLUMNS = ", ".join(ELSEWHERE.get(name, f"comments.{name}") for name in PublicComment._fields)
COMMENTS = f"""SELECT {PUBLIC_COLUMNS} FROM comments
    LEFT JOIN replies ON replies.comment_id = comments.id
    LEFT JOIN origins ON origins.comment_id = comments.id
"""
PUBLISHED = f"{COMMENTS} WHERE comments.status = 'published'"
ONE_PUBLISHED = f"{PUBLISHED} AND comments.id = :comment_id"
NEWEST = " ORDER BY comments.id DESC LIMIT :most"
NEWEST_PUBLISHED = PUBLISHED + NEWEST
NARROWED = {"before": " AND comments.id < :before", "page": " AND comments.page = :page"}
ONE_WAITING = f"{COMMENTS} WHERE comments.id = :comment_id AND comments.status IN ('held', 'spam')"
SOME = "SELECT id FROM comments WHERE status = 'published'"
COUNT_LIMIT = 10_000  # Who only wants to show a number must not make the database count a million rows.


AS_FILE = "guestbook page as file"  # A request that makes such a page has this in its environment.
# Pages that are files begin and end where a number is a multiple of their length. So they stay the same when
# somebody signs; the front page has up to twice as many.
AFTER_ALL = "g"  # no id
CUT = "SELECT id FROM comments WHERE status = 'published' AND number % :most = 0 AND id"
CUT_ABOVE = f"{CUT} > :comment_id ORDER BY id LIMIT 1"
CUT_AT = f"{CUT} = :comment_id"
LONGEST_PAGE = 10  # times the usual length, where comments were numbered in another order


def page(select: Select, before: str | None, limit: int, about: str | None = None) -> PublicPage:
    """Return the newest comments, or those before an id; of the book, or `about` a page of a website."""
    where = {name: value for name, value in {"before": before, "page": about}.items() if value}
    query = PUBLISHED + "".join(NARROWED[name] for name in where) + NEWEST
    return page_of(select(query, most=limit + 1, **where), limit)


def page_to_cut(select: Select, before: str | None, limit: int) -> PublicPage:
    """Return the comments before an id down to the next cut, or the newest: at least `limit` of these.

    Where no cut comes for long, it ends anywhere.
    """
    most, least = LONGEST_PAGE * limit, 1 if before else limit
    found = select(PUBLISHED + NARROWED["before"] + NEWEST, before=before or AFTER_ALL, most=most + 1)
    cuts = (place for place, row in enumerate(found, 1) if (_comment(row).number or 1) % limit == 0)
    end = next((place for place in cuts if place >= least), len(found))
    return page_of(found, end if end <= most else limit)


def page_of(found: Sequence[tuple[Any, ...]], limit: int) -> PublicPage:
    """Return the page that shows so many of these rows."""
    rows = [_comment(row) for row in found[:limit]]
    return PublicPage(rows, rows[-1].id if len(found) > limit else None)


def find(select: Select, comment_id: str) -> PublicComment | None:
    """Return the published comment with that id."""
    return next(map(_comment, select(ONE_PUBLISHED, comment_id=comment_id)), None)


def count(select: Select, about: str | None = None) -> int:
    """Return how many comments are published, at most COUNT_LIMIT and one: an index has them."""
    query = f"{SOME}{NARROWED['page'] if about else ''} LIMIT {COUNT_LIMIT + 1}"
    found = select(f"SELECT count(*) FROM ({query}) AS first_ones", **({"page": about} if about else {}))
    return next(int(number) for (number,) in found)


def find_waiting(select: Select, comment_id: str) -> PublicComment | None:
    """Return a comment that waits for the owner, or is spam; its visitor alone may ask."""
    return next(map(_comment, select(ONE_WAITING, comment_id=comment_id)), None)


def _comment(row: tuple[Any, ...]) -> PublicComment:
    comment_id, created_at, replied_at, *rest = row
    replied = clock.stored(replied_at) if replied_at else None
    return PublicComment(comment_id, clock.stored(created_at), replied, *rest)

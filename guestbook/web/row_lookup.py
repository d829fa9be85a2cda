"""Rows by the id in an address, for all views; 429 for those who guess addresses or ask too often."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from flask import abort, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import TooManyRequests

from guestbook.auth import rate_limit
from guestbook.auth.rate_limit import NetworkLimit
from guestbook.comments import comment_actions
from guestbook.lib import clock, ids
from guestbook.storage.database import Base, db, writing
from guestbook.storage.models import Comment
from guestbook.web import request_context

MOST_WRONG_LINKS = 20  # tries of one network
WRONG_WITHIN = timedelta(minutes=1)
TOO_MANY_LINKS = "Too many wrong links came from your network. Please try again in a minute."

M = TypeVar("M", bound=Base)


def find(model: type[M], row_id: str, **options: Any) -> M:
    """Return the row with that id; 404 when there is none. The options are those of `Session.get`."""
    found = db.session.get(model, row_id, **options) if ids.ID.fullmatch(row_id) else None
    return found or abort(404)


def find_locked(model: type[M], row_id: str) -> M:
    """Return the row under a lock, so that nobody deletes it before it is changed; 404 when there is none."""
    return find(model, row_id, with_for_update={"key_share": True})


@contextmanager
def changing(model: type[M], row_id: str) -> Iterator[tuple[Session, M]]:
    """Give a session whose transaction writes, and the row as `find_locked` does; commit at the end."""
    with writing() as session:
        yield session, find_locked(model, row_id)


def find_locked_comment(comment_id: str) -> Comment:
    """Return the comment, locked as `comment_actions.lock` does; 404 when there is none."""
    found = comment_actions.lock(db.session(), [comment_id] if ids.ID.fullmatch(comment_id) else [])
    return found[0] if found else abort(404)


def limit_requests(
    what: str, address: str | None = None, *, most: int, within: timedelta, sentence: str
) -> None:
    """Count a request of this address's network, or of everybody without one; raises TooManyRequests."""
    key, now = request_context.settings().secret_key, clock.now()
    with writing() as session:
        connection = session.connection()
        if address is None:
            wait = rate_limit.take(connection, rate_limit.who(key, what), now, most, within)
        else:
            wait = NetworkLimit(key, what, address, most, within).take(connection, now)
    if wait:
        raise TooManyRequests(sentence, retry_after=int(wait) + 1)


def count_wrong_link(purpose: str) -> None:
    """Count one of the current request's network; 429 when there were too many."""
    what, address = f"wrong {purpose} link", request.remote_addr or ""
    limit_requests(what, address, most=MOST_WRONG_LINKS, within=WRONG_WITHIN, sentence=TOO_MANY_LINKS)

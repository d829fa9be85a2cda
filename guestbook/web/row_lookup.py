"""Rows by the id in an address, for the admin pages and the API."""

from typing import Any, TypeVar

from flask import abort

from guestbook.comments import book
from guestbook.lib import ids
from guestbook.storage.database import Base, db
from guestbook.storage.models import Comment

M = TypeVar("M", bound=Base)


def find(model: type[M], row_id: str) -> M:
    """Return the row with that id; 404 when there is none."""
    return _get(model, row_id) or abort(404)


def find_locked(model: type[M], row_id: str) -> M:
    """Return the row under a lock, so that nobody deletes it before it is changed; 404 when there is none."""
    return _get(model, row_id, with_for_update={"key_share": True}) or abort(404)


def find_locked_comment(comment_id: str) -> Comment:
    """Return the comment, locked as `book.lock` does; 404 when there is none."""
    found = book.lock(db.session(), [comment_id] if ids.ID.fullmatch(comment_id) else [])
    return found[0] if found else abort(404)


def _get(model: type[M], row_id: str, **options: Any) -> M | None:
    return db.session.get(model, row_id, **options) if ids.ID.fullmatch(row_id) else None

"""The comments: everybody reads and writes, the owner's programs decide what stands in the book."""

from typing import Any

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Forbidden

from guestbook import book, browse, draft, engines
from guestbook.database import db, writing
from guestbook.models import Comment
from guestbook.refusal import Refused
from guestbook.web import errors, intake, show
from guestbook.web.api import asked, keys, shapes
from guestbook.web.common import find, settings

calls = Blueprint("comments", __name__, url_prefix="/comments")

FIELDS = ("name", "website", "message")
CLOSED = "The book is closed: it takes no new comments at the moment."


@calls.get("")
def index() -> ResponseReturnValue:
    """List comments: those that are published, or with a token those of any status."""
    query = asked.query()
    status = query["status"]
    if status != "published" and not keys.has_token():
        keys.refuse()
    page = browse.comments(
        db.session(),
        None if status == "all" else status,
        before=query.get("before"),
        after=query.get("after"),
        limit=query["limit"],
    )
    rows = [shapes.comment(row, with_reason=keys.has_token()) for row in page.rows]
    return shapes.page("comments", "/comments", query, rows, page.older)


@calls.post("")
def sign() -> ResponseReturnValue:
    """Write a comment. Spam is answered like a held one, so a program learns nothing."""
    if show.settings_of_book().closed:
        raise Forbidden(CLOSED)
    entry = _draft(asked.body(_faults))
    if entry.errors:
        raise Refused.of(entry.errors)
    try:
        comment = intake.take(entry, trap="", age=None, form_key=None)
    except intake.TooMany as error:
        refused = errors.refuse(error, 429)
        refused.headers["Retry-After"] = str(error.seconds)
        return refused
    shown = shapes.comment(comment)
    if comment.status == "published":
        return shown, 201, {"Location": shapes.address(f"/comments/{comment.id}")}
    return shown | {"status": "held"}, 202


@calls.get("/<comment_id>")
def one(comment_id: str) -> ResponseReturnValue:
    """Show a comment that is published, or with a token any."""
    comment = find(Comment, comment_id)
    if comment.status != "published" and not keys.has_token():
        abort(404)
    return shapes.comment(comment, with_reason=keys.has_token())


@calls.patch("/<comment_id>")
def change(comment_id: str) -> ResponseReturnValue:
    """Correct a comment, then move it, then answer it: so receivers hear of it as it is in the end."""
    changes = asked.body(_faults)
    with writing() as session:
        comment = _locked(comment_id)
        if any(name in changes for name in FIELDS):
            typed = {name: getattr(comment, name) for name in FIELDS} | changes
            book.edit(session, comment, _draft(typed))
        if "status" in changes:
            book.move(session, comment, changes["status"], settings())
        if "reply" in changes:
            book.reply(session, comment, changes["reply"] or "", settings())
        return shapes.comment(comment, with_reason=True)


@calls.delete("/<comment_id>")
def delete(comment_id: str) -> ResponseReturnValue:
    """Delete a comment for good."""
    with writing() as session:
        book.delete(session, _locked(comment_id), settings())
    engines.clear_wal(db.engine)
    return "", 204


def _locked(comment_id: str) -> Comment:
    """Return the comment, kept from others; 404 when there is none."""
    rows = book.lock(db.session(), [find(Comment, comment_id).id])
    return rows[0] if rows else abort(404)


def _draft(fields: dict[str, Any]) -> draft.Draft:
    return draft.read({name: fields.get(name) or "" for name in FIELDS})


def _faults(fields: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with those that are there."""
    return {name: reason for name, reason in _draft(fields).errors.items() if name in fields}

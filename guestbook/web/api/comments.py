"""/comments: everybody may read and write; moderation needs a token."""

from typing import Any

from flask import Blueprint, Response, abort, g, make_response
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.exceptions import Forbidden, TooManyRequests

from guestbook.comments import book, comment_form
from guestbook.comments.comment_form import DRAFT_FIELDS, WRONG_ANSWER_OF_PROGRAM
from guestbook.lib.errors import Refused
from guestbook.queries import filtered_lists
from guestbook.storage import engine_setup
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment
from guestbook.web import conditional, request_context, submission
from guestbook.web.api import authentication, idempotency, request_reader, serializers, token_view
from guestbook.web.row_lookup import find, find_locked_comment

NOT_ASKED = "This book asks for no {}."

calls = Blueprint("comments", __name__, url_prefix="/comments")


@calls.get("")
def index() -> ResponseReturnValue:
    """List published comments, or with a token those of any status."""
    query = request_reader.query()
    status = query["status"]
    if (status != "published" or "words" in query) and not authentication.has_token():
        authentication.refuse()  # a search finds words in notes to the owner, too
    page = filtered_lists.comments(
        db.session(),
        None if status == "all" else status,
        query.get("words"),
        before=query.get("before"),
        after=query.get("after"),
        limit=query["limit"],
    )
    return serializers.page("comments", page, serializers.comment, query)


@calls.post("")
def sign() -> ResponseReturnValue:
    """Add a comment. Spam looks like a held comment, so that a program learns nothing."""
    if request_context.preferences().closed:
        submission.count_refusal("closed")
        raise Forbidden("The book is closed for new comments.")
    try:
        entry = _read_comment()
        submission.submit(entry, trap="", age=None, form_key=None, then=_answer_signed)
    except submission.TooManyComments as error:
        submission.count_refusal("rate")
        raise TooManyRequests(str(error), retry_after=error.seconds) from None
    except Refused as error:
        submission.count_refusal(*error.fields)
        raise
    answer: Response = g.signed
    return answer


@calls.get("/<comment_id>")
def one(comment_id: str) -> ResponseReturnValue:
    """Show a published comment, or with a token any comment."""
    comment = find(Comment, comment_id)
    if comment.status != "published" and not authentication.has_token():
        abort(404)
    return serializers.comment(comment)


@calls.patch("/<comment_id>")
def change(comment_id: str) -> ResponseReturnValue:
    """Edit a comment, then move it, then reply: so webhooks receive its final state."""
    changes = request_reader.body(_errors)
    with writing() as session:
        comment = find_locked_comment(comment_id)
        conditional.refuse_if_changed(token_view.mask(make_response(serializers.comment(comment))))
        if any(name in changes for name in DRAFT_FIELDS):
            typed = book.typed(comment) | changes
            book.edit(session, comment, _draft(typed), request_context.settings())
        if "status" in changes:
            book.decide(session, comment, changes["status"], request_context.settings())
        if "reply" in changes:
            book.reply(session, comment, changes["reply"] or "", request_context.settings())
        return serializers.comment(comment)


@calls.delete("/<comment_id>")
def delete(comment_id: str) -> ResponseReturnValue:
    """Delete a comment for good."""
    with writing() as session:
        comment = find_locked_comment(comment_id)
        conditional.refuse_if_changed(token_view.mask(make_response(serializers.comment(comment))))
        book.delete(session, comment, request_context.settings())
    engine_setup.clear_wal(db.engine)
    return "", 204


def _answer_signed(session: Session, comment: Comment) -> None:
    shown = serializers.comment(comment)
    if comment.status == "published":
        location = serializers.address(f"/comments/{comment.id}")
        g.signed = idempotency.keep(session, shown, 201, {"Location": location})
    else:
        g.signed = idempotency.keep(session, shown | {"status": "held"}, 202)


def _read_comment() -> comment_form.Draft:
    """Return the comment in the body; raises Refused, also for a wrong answer to the owner's question."""
    fields = request_reader.body(_errors)
    entry, errors = _draft(fields), {}
    book_asks = {
        "place": request_context.preferences().asks_place,
        "note": request_context.preferences().asks_note,
    }
    for name, is_asked in book_asks.items():
        if fields.get(name) and not is_asked:
            errors[name] = NOT_ASKED.format(name)
    if not submission.answers_question(fields.get("answer") or ""):
        errors["answer"] = WRONG_ANSWER_OF_PROGRAM.format(request_context.preferences().question)
    if entry.errors or errors:
        raise Refused.of({**entry.errors, **errors})
    return entry


def _draft(fields: dict[str, Any]) -> comment_form.Draft:
    return comment_form.read({name: fields.get(name) or "" for name in DRAFT_FIELDS})


def _errors(fields: dict[str, Any]) -> dict[str, str]:
    """Return the errors of the given fields."""
    return {name: reason for name, reason in _draft(fields).errors.items() if name in fields}

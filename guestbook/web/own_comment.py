"""Visitors change or delete the comment that their browser has written, for some minutes."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from guestbook.comments import book, comment_mark
from guestbook.comments.comment_form import Draft
from guestbook.lib.errors import Refused, Translatable
from guestbook.storage import audit_log
from guestbook.storage.audit_log import Actor
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment
from guestbook.web import frame, request_context, signing, submission, visitor_form
from guestbook.web.error_pages import NotYours
from guestbook.web.submission import CommentChanged, TooManyComments
from guestbook.web.visitor_form import FormError

pages = Blueprint("own_comment", __name__, url_prefix="/comments/<comment_id>")

OPEN_TOO_LONG = Translatable(
    "This page was open for too long, so nothing was deleted yet. Please press the button again."
)


@pages.get("/edit")
def show(comment_id: str) -> ResponseReturnValue:
    """Show the form with the visitor's own words."""
    comment = _own(comment_id)
    return _page(comment, Draft(**book.typed(comment), errors={}), visitor_form.new_token())


@pages.post("/edit")
def edit(comment_id: str) -> ResponseReturnValue:
    """Change the comment under the rules for new ones."""
    comment, token = _own(comment_id), request.form.get("token", "")
    entry = visitor_form.read_form(book.typed(comment))
    try:
        form = visitor_form.read_token(token)
    except FormError as error:
        return _page(comment, entry, visitor_form.new_token(), error.sentence), 422
    if entry.errors:
        return _page(comment, entry, token), 422
    if signing.PREVIEW_FIELD in request.form:
        return _page(comment, entry, token, preview=entry)
    try:
        trap = request.form.get(signing.HONEYPOT_FIELD, "")
        mark = request.form.get("mark")
        changed = submission.revise(comment, entry, trap=trap, age=form.age, mark=mark)
    except TooManyComments as error:
        return _page(comment, entry, token, error.sentence), 429, {"Retry-After": str(error.seconds)}
    except CommentChanged as error:
        now = Draft(**book.typed(comment), errors={})
        return _page(comment, entry, token, error.sentence, present=now), 409
    except Refused as error:
        return _page(comment, entry, token, error.sentence), 422
    is_published = changed.status == "published"
    return redirect(visitor_form.receipt_address(comment_id, is_published=is_published, is_change=True), 303)


@pages.post("/delete")
def delete(comment_id: str) -> ResponseReturnValue:
    """Move the comment to the trash, as the owner would."""
    comment = _own(comment_id)
    try:
        visitor_form.read_token(request.form.get("token", ""))
    except FormError:
        return _page(
            comment, Draft(**book.typed(comment), errors={}), visitor_form.new_token(), OPEN_TOO_LONG
        ), 422
    with writing() as session:
        for locked in book.lock(session, [comment_id]):
            book.move(session, locked, "trash", request_context.settings())
    return redirect(frame.home(signed=visitor_form.DELETED, _anchor="thanks"), 303)


def _own(comment_id: str) -> Comment:
    """Return the comment if this browser has written it lately."""
    if visitor_form.earlier_comment() != comment_id or not visitor_form.is_changeable(comment_id):
        raise NotYours
    audit_log.act_as(Actor("visitor"))
    comment = db.session.get(Comment, comment_id)
    if comment is None or comment.status == "trash":
        raise NotYours
    return comment


def _page(
    comment: Comment,
    entry: Draft,
    token: str,
    notice: str | None = None,
    *,
    preview: Draft | None = None,
    present: Draft | None = None,
) -> str:
    """Show the form, and the button that deletes. `present` is the comment that others have changed."""
    seen = None if present else request.form.get("mark")  # the visitor has not read any later words
    return render_template(
        "own_comment.html",
        draft=entry,
        token=token,
        notice=notice,
        preview=preview,
        present=present,
        mark=seen or comment_mark.mark_of_words(comment),
        action=url_for(".edit", comment_id=comment.id),
        delete_action=url_for(".delete", comment_id=comment.id),
    )

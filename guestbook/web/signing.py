"""Signing the book: a refused comment comes back with its text and the reasons."""

from flask import Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import ServiceUnavailable

from guestbook.comments import comment_form, moderation_policy
from guestbook.comments.comment_form import Draft
from guestbook.storage.models import Comment
from guestbook.web import comment_html, current, form_token, frame, request_id, submission
from guestbook.web.form_token import FormError
from guestbook.web.submission import TooManyComments

HONEYPOT_FIELD = "subject"  # a hidden field: programs fill it in, browsers do not autofill it
BOOK_CLOSED = "The book is closed for new comments. Nothing was stored, but your text is still here."
DATABASE_AWAY = (
    "The book cannot be reached at the moment. Please send your comment again in a minute. "
    "It will not appear twice."
)
SERVER_ERROR = (
    "Something went wrong on our side. Your text is still here. Please send it again later; "
    "it will not appear twice. If it happens again, give the owner this number: {}."
)


def sign() -> ResponseReturnValue:
    """Store what the form holds, and lead the visitor to it."""
    entry = comment_form.read(request.form)
    if current.preferences().closed:
        return _page(entry, request.form.get("token", ""), BOOK_CLOSED), 403
    try:
        form = form_token.read(request.form.get("token", ""))
    except FormError as error:
        # An expired form was open long enough: sending it again quickly does not suggest a program.
        fresh = form_token.token(age=moderation_policy.QUICKEST_PERSON if error.reason == "expired" else 0)
        return _page(entry, fresh, str(error)), 422
    if entry.errors:
        return _page(entry, request.form["token"]), 422
    try:
        trap = request.form.get(HONEYPOT_FIELD, "")
        comment = submission.submit(entry, trap=trap, age=form.age, form_key=form.key(entry))
    except TooManyComments as error:
        return _page(entry, request.form["token"], str(error)), 429, {"Retry-After": str(error.seconds)}
    return redirect(_address_after(comment), 303)


def with_text(response: Response) -> Response:
    """Return the answer to an error of the database, with the form and the text in it."""
    is_away = response.status_code == ServiceUnavailable.code
    notice = DATABASE_AWAY if is_away else SERVER_ERROR.format(request_id.get())
    response.data = _page(comment_form.read(request.form), request.form.get("token", ""), notice)
    return response


def _address_after(comment: Comment) -> str:
    """Return where the visitor sees it. Spam looks like a held comment, so that a program learns nothing."""
    if comment.status == "published":
        return frame.home(signed=comment.id, _anchor=f"c-{comment.id}")
    return frame.home(signed=comment_html.HELD, _anchor="thanks")


def _page(entry: Draft, token: str, notice: str | None = None) -> str:
    """Show the form alone: this needs no database, and the reasons stand out."""
    return render_template("sign.html", draft=entry, token=token, notice=notice)

"""Signing the book: a refused comment comes back with its text and the reasons."""

from dataclasses import replace

from flask import Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import ServiceUnavailable

from guestbook.comments import comment_form
from guestbook.comments.comment_form import WRONG_ANSWER, Draft
from guestbook.comments.spam import spam_rules
from guestbook.lib.errors import Translatable
from guestbook.web import frame, request_context, response_headers, submission, visitor_form
from guestbook.web.submission import TooManyComments
from guestbook.web.visitor_form import FormError

HONEYPOT_FIELD = "subject"  # a hidden field: programs fill it in, browsers do not autofill it
PREVIEW_FIELD = "preview"  # the button that shows the comment and stores nothing
BOOK_CLOSED = Translatable(
    "The book is closed for new comments. Nothing was stored, but your text is still here."
)
DATABASE_AWAY = Translatable(
    "The book cannot be reached at the moment. Please send your comment again in a minute. "
    "It will not appear twice."
)


def sign() -> ResponseReturnValue:
    """Store what the form holds, and lead the visitor to it."""
    entry, token = _read_form(), visitor_form.form_line("token")
    if request_context.preferences().closed:
        return _refused("closed", entry, token, 403, BOOK_CLOSED)
    try:
        form = visitor_form.read_token(token)
    except FormError as error:
        # An expired form was open long enough: sending it again quickly does not suggest a program.
        fresh = visitor_form.new_token(age=spam_rules.QUICKEST_PERSON if error.reason == "expired" else 0)
        return _refused(error.reason, entry, fresh, 422, error.sentence)
    if entry.errors:
        return _refused(next(iter(entry.errors)), entry, token, 422)
    if PREVIEW_FIELD in request.form:
        return _page(entry, token, preview=entry)
    try:
        comment = submission.submit(
            entry,
            trap=request.form.get(HONEYPOT_FIELD, ""),
            age=form.age,
            form_key=form.key(entry),
            earlier_id=visitor_form.earlier_comment(),
        )
    except TooManyComments as error:
        return *_refused("rate", entry, token, 429, error.sentence), {"Retry-After": str(error.seconds)}
    answer = redirect(
        visitor_form.receipt_address(comment.id, is_published=comment.status == "published"), 303
    )
    # Browsers refuse such a cookie inside another website.
    return answer if frame.is_open() else visitor_form.give_cookie(answer, comment)


def with_text(response: Response, notice: str | None = None) -> Response:
    """Return the answer to an error of the database, with the form and the text in it."""
    is_away = response.status_code == ServiceUnavailable.code
    notice = notice or (DATABASE_AWAY if is_away else _server_error(response_headers.request_id()))
    response.data = _page(comment_form.read(request.form), visitor_form.form_line("token"), notice)
    return response


def _server_error(number: str) -> str:
    return Translatable(
        "Something went wrong on our side. Your text is still here. Please send it again later; "
        "it will not appear twice. If it happens again, give the owner this number: %(number)s.",
        number=number,
    )


def _read_form() -> Draft:
    """Read the form; a wrong answer to the owner's question is an error like that of a field."""
    entry = visitor_form.read_form()
    if submission.answers_question(visitor_form.form_line("answer")):
        return entry
    return replace(entry, errors={**entry.errors, "answer": WRONG_ANSWER})


def _refused(
    reason: str, entry: Draft, token: str, status: int, notice: str | None = None
) -> tuple[str, int]:
    """Show the form again with its text and the reason, which is counted for the owner."""
    submission.count_refusal(reason)
    return _page(entry, token, notice), status


def _page(entry: Draft, token: str, notice: str | None = None, *, preview: Draft | None = None) -> str:
    """Show the form alone: this needs no database, and the reasons stand out."""
    answer = visitor_form.form_line("answer")
    return render_template(
        "sign.html", draft=entry, answer=answer, token=token, notice=notice, preview=preview
    )

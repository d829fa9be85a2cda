"""The public pages: the book, one comment, and the form."""

import hashlib

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import ServiceUnavailable

from guestbook.comments import book, comment_form, moderation_policy
from guestbook.comments.comment_form import Draft
from guestbook.lib import clock, ids
from guestbook.queries import lists
from guestbook.storage.database import db
from guestbook.storage.models import Comment
from guestbook.web import current, error_pages, form_token, pagination, request_id, submission
from guestbook.web.form_token import FormError
from guestbook.web.submission import TooManyComments

pages = Blueprint("public", __name__)

HONEYPOT_FIELD = "subject"  # a hidden field: programs fill it in, browsers do not autofill it
ETAG_SECONDS = form_token.MAX_AGE_SECONDS / 4  # how long a browser may show the form that it has
HELD = "waiting"  # in place of the id of a held comment
EMPTY_DRAFT = Draft("", None, "", {})
BOOK_CLOSED = "The book is closed for new comments. Nothing was stored, but your text is still here."
DATABASE_AWAY = (
    "The book cannot be reached at the moment. Please send your comment again in a minute. "
    "It will not appear twice."
)
SERVER_ERROR = (
    "Something went wrong on our side. Your text is still here. Please send it again later; "
    "it will not appear twice. If it happens again, give the owner this number: {}."
)


@pages.get("/")
def index() -> ResponseReturnValue:
    """Show a page of the book; the first one has the form."""
    before, token = pagination.before(), form_token.token()
    page = lists.comments(db.session(), "published", before=before, limit=current.preferences().per_page)
    html = render_template(
        "book.html",
        page=page,
        before=before,
        **pagination.links(page.older),
        signed=_find(request.args.get("signed", "")),
        waiting=request.args.get("signed") == HELD,
        draft=EMPTY_DRAFT,
        token=token,
    )
    return _unless_cached(html, without=token)


@pages.get("/favicon.ico")
def icon() -> ResponseReturnValue:
    """Return the icon at the address that browsers try by default; pages link a sharper one."""
    return current_app.send_static_file("favicon.ico")


@pages.post("/comments")
def sign() -> ResponseReturnValue:
    """Sign the book; a refused comment comes back with its text and the reasons."""
    entry = comment_form.read(request.form)
    if current.preferences().closed:
        return _sign_page(entry, request.form.get("token", ""), BOOK_CLOSED), 403
    try:
        form = form_token.read(request.form.get("token", ""))
    except FormError as error:
        # An expired form was open long enough: sending it again quickly does not suggest a program.
        fresh = form_token.token(age=moderation_policy.QUICKEST_PERSON if error.reason == "expired" else 0)
        return _sign_page(entry, fresh, str(error)), 422
    if entry.errors:
        return _sign_page(entry, request.form["token"]), 422
    try:
        trap = request.form.get(HONEYPOT_FIELD, "")
        comment = submission.submit(entry, trap=trap, age=form.age, form_key=form.key(entry))
    except TooManyComments as error:
        return _sign_page(entry, request.form["token"], str(error)), 429, {"Retry-After": str(error.seconds)}
    return redirect(_address_after(comment), 303)


@pages.get("/comments/<comment_id>")
def comment(comment_id: str) -> ResponseReturnValue:
    """Show one comment at its own address."""
    found = _find(comment_id)
    if found is None:
        abort(404)
    return _unless_cached(render_template("comment.html", comment=found))


def _unless_cached(html: str, *, without: str = "") -> ResponseReturnValue:
    """Answer 304 to a browser that has this page already, ignoring the form's token, which is always new.

    The page that it keeps has an older token. So the page counts as changed every six hours, before the token
    expires.
    """
    content = html.replace(without, str(clock.now().timestamp() // ETAG_SECONDS)) if without else html
    response = current_app.make_response(html)
    response.set_etag(hashlib.sha256(content.encode()).hexdigest()[:32], weak=True)
    return response.make_conditional(request)


@pages.errorhandler(SQLAlchemyError)
def keep_text(error: SQLAlchemyError) -> ResponseReturnValue:
    """Answer as for every page, but show the form with the text where the book was being signed."""
    response = error_pages.answer_database(error)
    if request.endpoint == "public.sign":
        is_away = response.status_code == ServiceUnavailable.code
        notice = DATABASE_AWAY if is_away else SERVER_ERROR.format(request_id.get())
        response.data = _sign_page(comment_form.read(request.form), request.form.get("token", ""), notice)
    return response


def _find(comment_id: str) -> Comment | None:
    return book.find(db.session(), comment_id) if ids.ID.fullmatch(comment_id) else None


def _address_after(comment: Comment) -> str:
    """Return where the visitor sees it. Spam looks like a held comment, so that a program learns nothing."""
    if comment.status == "published":
        return url_for("public.index", signed=comment.id, _anchor=f"c-{comment.id}")
    return url_for("public.index", signed=HELD, _anchor="thanks")


def _sign_page(entry: Draft, token: str, notice: str | None = None) -> str:
    """Show the form alone: this needs no database, and the reasons stand out."""
    return render_template("sign.html", draft=entry, token=token, notice=notice)

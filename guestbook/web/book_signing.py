"""Signing the book: a refused comment comes back with its text and the reasons.

Then come the pages on which visitors change or delete the comment of their browser, for some minutes.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.exceptions import ServiceUnavailable

from guestbook.comments import comment_actions, comment_form, reply_mails, submission, website_forms
from guestbook.comments.comment_form import WRONG_ANSWER, Draft
from guestbook.comments.spam import spam_report, spam_rules
from guestbook.comments.submission import CommentChanged, TooManyComments
from guestbook.lib import clock, validate
from guestbook.lib.errors import Refused, Translatable
from guestbook.lib.text import clean_line
from guestbook.storage import audit_log
from guestbook.storage.audit_log import Actor
from guestbook.storage.comment_fields import COMMENT_FIELDS
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment
from guestbook.web import embed, look_language_time_zone, request_context, response_headers, visitor_tokens
from guestbook.web.error_pages import NotYours
from guestbook.web.visitor_tokens import Form, FormError

EMAIL_FIELD = "email"
HONEYPOT_FIELD = "subject"  # Programs fill in this hidden field; browsers do not.
PREVIEW_FIELD = "preview"  # This button stores nothing.
BOOK_CLOSED = Translatable(
    "The book is closed for new comments. Nothing was stored, but your text is still here."
)
DATABASE_AWAY = Translatable(
    "The book cannot be reached at the moment. Please send your comment again in a minute. "
    "It will not appear twice."
)


def sign() -> ResponseReturnValue:
    """Store what the form holds, and lead the visitor to it."""
    entry, token = _read_signature(), _line("token")
    if not token and PREVIEW_FIELD in request.form:  # A form in a file, or on another website, has no token.
        is_file = request_context.settings().public_folder is not None
        token = visitor_tokens.new_token(age=spam_rules.QUICKEST_PERSON if is_file else 0)
    if request_context.preferences().closed:
        return _refused("closed", entry, token, 403, BOOK_CLOSED)
    try:
        form = visitor_tokens.read_token(token)
    except FormError as error:
        # An expired form was open long enough: sending it again quickly does not suggest a program.
        fresh = visitor_tokens.new_token(age=spam_rules.QUICKEST_PERSON if error.reason == "expired" else 0)
        return _refused(error.reason, entry, fresh, 422, error.sentence)
    if entry.errors:
        return _refused(next(iter(entry.errors)), entry, token, 422)
    if embed.names_wrong_page():
        return _refused("website", entry, token, 422, NOT_THIS_WEBSITE)
    if PREVIEW_FIELD in request.form:
        return _page(entry, token, preview=entry)
    sender = replace(visitor(form), page=embed.page())
    return _submit(entry, sender, form, token, visitor_tokens.receipt_address)


def _submit(
    entry: Draft, sender: submission.Visitor, form: Form, token: str, address: Callable[[Comment], str]
) -> ResponseReturnValue:
    """Store the comment and lead its visitor to the address, or show the form again.

    Anybody can repeat what a public form has sent, so only the request that stores a comment may change it.
    """
    made: list[str] = []

    def note(session: Session, new: Comment) -> None:
        made.append(new.id)
        if email := _email():
            language = look_language_time_zone.language()
            reply_mails.keep(session, new, email, language, sender.address, sender.settings)

    try:
        comment = submission.submit(entry, sender, form.key(entry), note)
    except TooManyComments as error:
        return *_refused("rate", entry, token, 429, error.sentence), {"Retry-After": str(error.seconds)}
    answer = redirect(address(comment), 303)
    is_theirs = comment.id in made or not form.is_public
    return visitor_tokens.give_cookie(answer, comment) if is_theirs else answer


website_forms_pages = Blueprint(embed.WEBSITE_FORM, __name__)

SECOND_CLICK = 600.0  # seconds
SAID_ON_PAGE = ("name", "message")  # The form itself keeps visitors from these errors.
NOT_THIS_WEBSITE = Translatable(
    "The form was on a page that may not use it, so nothing was stored yet. Your text is still here: "
    "sign the book with it."
)


@website_forms_pages.get("/form/<key>")
def lead_to_form(key: str) -> ResponseReturnValue:
    """Lead those who open the address itself to the page with the form, or to the book."""
    return redirect(website_forms.page_of(db.session(), key) or embed.home())


@website_forms_pages.post("/form/<key>")
def sign_on_website(key: str) -> ResponseReturnValue:
    """Take a comment from a plain form on a page of the owner's, and lead the visitor back to that page."""
    home = website_forms.page_of(db.session(), key)
    entry = _read_signature()
    token = visitor_tokens.new_token(age=spam_rules.QUICKEST_PERSON)
    if home is None:
        return _refused("website", entry, token, 404, NOT_THIS_WEBSITE)
    if request_context.preferences().closed:
        return _refused("closed", entry, token, 403, BOOK_CLOSED)
    is_from = website_forms.is_from(home, request.headers.get("Origin"), request.headers.get("Referer"))
    page = None
    try:
        g.page_of_form = page = website_forms.page_on(home, _line("page"))
    except ValueError:
        is_from = False
    if is_from is False:
        return _refused("website", entry, token, 403, NOT_THIS_WEBSITE)
    back = page or home
    if entry.errors:
        wrong = next(iter(entry.errors))
        if wrong not in SAID_ON_PAGE:  # The book shows the text again.
            return _refused(wrong, entry, token, 422)
        spam_report.count_refusal(wrong)
        return redirect(f"{back}#error-{wrong}", 303)
    form = Form(_nonce_of(key), None)
    sender = replace(visitor(form), is_website_unknown=is_from is None, page=page)
    return _submit(entry, sender, form, token, partial(_address_on, back))


def _nonce_of(key: str) -> str:
    """Return what stands for a form without a token: the same words in ten minutes are a second click."""
    about = _line("page")[: validate.PAGE_LIMIT]
    return f"{visitor_tokens.PUBLIC}{key} {about} {int(clock.now().timestamp() // SECOND_CLICK)}"


def _address_on(page: str, comment: Comment) -> str:
    return page + ("#thanks" if comment.status == "published" else "#waiting")


def _read_signature() -> Draft:
    """Return the draft of a new comment. A wrong answer to the owner's question is an error of it."""
    entry, book = _read_form(), request_context.preferences()
    if book.question and not comment_form.is_right_answer(_line("answer"), book.answers):
        return replace(entry, errors={**entry.errors, "answer": WRONG_ANSWER})
    if wrong := reply_mails.error_of(_email()):
        return replace(entry, errors={**entry.errors, EMAIL_FIELD: wrong})
    return entry


def _email() -> str:
    """Return the visitor's e-mail address, or nothing if the book does not ask for it."""
    return _line(EMAIL_FIELD) if request_context.offers_reply_mails() else ""


def _read_form(stored: Draft | None = None) -> Draft:
    """Return the draft. A field that the book does not ask for counts where the stored comment has it."""
    entry, had = comment_form.read(request.form), stored.values if stored else {}
    book = request_context.preferences()
    left_out = [name for name in comment_form.fields_left_out(book) if not had.get(name)]
    wrong = {**entry.errors, **comment_form.errors_of_choices(entry, book, had)}
    errors = {name: wrong[name] for name in COMMENT_FIELDS if name in wrong and name not in left_out}
    nothing: dict[str, Any] = dict.fromkeys(left_out)
    return replace(entry, errors=errors, **nothing)


def _line(name: str) -> str:
    """Return another field than those of the comment, without characters that a page must not hold."""
    return clean_line(request.form.get(name, ""))


def visitor(form: Form | None = None) -> submission.Visitor:
    """Return who has sent this request, with the form; a program has none."""
    return submission.Visitor(
        request_context.settings(),
        request_context.preferences(),
        request.remote_addr or "",
        clock.now(),
        trap=request.form.get(HONEYPOT_FIELD, "") if form else "",
        age=form.age if form else None,
        earlier_id=visitor_tokens.earlier_comment() if form else None,
    )


def with_text(response: Response, notice: str | None = None) -> Response:
    """Return the answer to an error of the database, with the form and the text in it."""
    is_away = response.status_code == ServiceUnavailable.code
    failed = Translatable(
        "Something went wrong on our side. Your text is still here. Please send it again later; "
        "it will not appear twice. If it happens again, give the owner this number: %(number)s.",
        number=response_headers.request_id(),
    )
    notice = notice or (DATABASE_AWAY if is_away else failed)
    key = (request.view_args or {}).get("key")
    token = visitor_tokens.new_token(spam_rules.QUICKEST_PERSON, _nonce_of(key)) if key else _line("token")
    response.data = _page(comment_form.read(request.form), token, notice)
    return response


def _refused(
    reason: str, entry: Draft, token: str, status: int, notice: str | None = None
) -> tuple[str, int]:
    """Show the form again with its text and the reason, which is counted for the owner."""
    spam_report.count_refusal(reason)
    return _page(entry, token, notice), status


def _page(entry: Draft, token: str, notice: str | None = None, *, preview: Draft | None = None) -> str:
    """Show the form alone: this needs no database, and the reasons stand out."""
    typed = {"draft": entry, "answer": _line("answer"), "email": _line(EMAIL_FIELD), "token": token}
    return render_template("sign.html", **typed, notice=notice, preview=preview)


pages = Blueprint("own_comment", __name__, url_prefix="/comments/<comment_id>")

OPEN_TOO_LONG = Translatable(
    "This page was open for too long, so nothing was deleted yet. Please press the button again."
)


@pages.get("/edit")
def show(comment_id: str) -> ResponseReturnValue:
    """Show the form with the visitor's own words."""
    comment = _own(comment_id)
    return _own_page(comment, comment_form.draft_of(comment), visitor_tokens.new_token())


@pages.post("/edit")
def edit(comment_id: str) -> ResponseReturnValue:
    """Change the comment under the rules for new ones."""
    comment, token = _own(comment_id), request.form.get("token", "")
    entry = _read_form(comment_form.draft_of(comment))
    try:
        form = visitor_tokens.read_token(token)
    except FormError as error:
        return _own_page(comment, entry, visitor_tokens.new_token(), error.sentence), 422
    if entry.errors:
        return _own_page(comment, entry, token), 422
    if PREVIEW_FIELD in request.form:
        return _own_page(comment, entry, token, preview=entry)
    try:
        changed = submission.revise(comment, entry, visitor(form), request.form.get("mark"))
    except TooManyComments as error:
        return _own_page(comment, entry, token, error.sentence), 429, {"Retry-After": str(error.seconds)}
    except CommentChanged as error:
        now = comment_form.draft_of(comment)
        return _own_page(comment, entry, token, error.sentence, present=now), 409
    except Refused as error:
        return _own_page(comment, entry, token, error.sentence), 422
    if changed is None:
        raise NotYours
    return redirect(visitor_tokens.receipt_address(changed, is_change=True), 303)


@pages.post("/delete")
def delete(comment_id: str) -> ResponseReturnValue:
    """Move the comment to the trash, as the owner would."""
    comment = _own(comment_id)
    try:
        visitor_tokens.read_token(request.form.get("token", ""))
    except FormError:
        now = comment_form.draft_of(comment)
        return _own_page(comment, now, visitor_tokens.new_token(), OPEN_TOO_LONG), 422
    with writing() as session:
        for locked in comment_actions.lock(session, [comment_id]):
            comment_actions.move(session, locked, "trash", request_context.settings())
    return redirect(embed.home(signed=visitor_tokens.DELETED, _anchor="thanks"), 303)


def _own(comment_id: str) -> Comment:
    """Return the comment if this browser has written it lately."""
    if not visitor_tokens.is_own(comment_id) or not visitor_tokens.is_changeable(comment_id):
        raise NotYours
    audit_log.act_as(Actor("visitor"))
    comment = db.session.get(Comment, comment_id)
    if comment is None or comment.status == "trash":
        raise NotYours
    return comment


def _own_page(
    comment: Comment,
    entry: Draft,
    token: str,
    notice: str | None = None,
    *,
    preview: Draft | None = None,
    present: Draft | None = None,
) -> str:
    """Show the form, and the button that deletes. `present` is the comment that others have changed."""
    seen = None if present else request.form.get("mark")  # The visitor has not read any later words.
    kept = embed.parameters() | {visitor_tokens.OWN_FIELD: visitor_tokens.own_token()}
    return render_template(
        "own_comment.html",
        draft=entry,
        token=token,
        notice=notice,
        preview=preview,
        present=present,
        mark=seen or comment_form.mark_of(comment, words_alone=True),
        action=url_for(".edit", comment_id=comment.id, **kept),
        delete_action=url_for(".delete", comment_id=comment.id, **kept),
        back=visitor_tokens.receipt_address(comment) if embed.is_open() else embed.home(),
    )

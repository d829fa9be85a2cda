"""The page behind a moderation link: it shows a held comment, and its buttons decide. It needs no login.

Programs of chats and mail fetch links, so GET and HEAD change nothing. The signed token in the address is the
authority; the form's token shows that a person has opened the page, and how long ago.
"""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from guestbook.comments import comment_actions, comment_form, events_and_reminders
from guestbook.comments.comment_actions import STATUS_AFTER_LINK, LinkedComment
from guestbook.comments.events_and_reminders import SignedLink
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.lib.signed_links import MODERATION_PATH
from guestbook.lib.text import clean_text
from guestbook.storage import audit_log
from guestbook.storage.audit_log import Actor
from guestbook.storage.database import db, writing
from guestbook.web import request_context, row_lookup, visitor_tokens

pages = Blueprint("moderation", __name__, url_prefix=MODERATION_PATH)

BROKEN_LINK = "The link is incomplete or was changed. Open it from the message again, or log in."
COMMENT_CHANGED = "The comment was changed after you opened this page. Nothing was done. Read it again."


@pages.get("/<token>")
def show(token: str) -> ResponseReturnValue:
    """Show the comment with its buttons, or what was decided."""
    link = _link(token)
    found = comment_actions.find_linked(db.session(), link, clock.now())
    return _gone(found, is_done="done" in request.args) if found.gone else _page(found, link)


@pages.post("/<token>")
def decide(token: str) -> ResponseReturnValue:
    """Do what the button says, and show what was done."""
    link, reply, action = _link(token), request.form.get("reply", ""), request.form.get("action", "")
    try:
        visitor_tokens.read_token(request.form.get("token", ""))
        if action not in STATUS_AFTER_LINK:
            raise Refused("Nothing was changed. Choose one of the buttons.")
        with writing() as session:
            found = comment_actions.find_linked(session, link, clock.now(), to_lock=True)
            comment = None if found.gone else found.comment
            if comment and comment_form.mark_of(comment) == request.form.get("mark"):
                comment_actions.decide_by_link(session, comment, action, reply, request_context.settings())
                return redirect(url_for(".show", token=token, done=""), 303)
    except Refused as error:
        return _repeated(link, str(error), 422)
    return _repeated(link, COMMENT_CHANGED, 409)


def _link(token: str) -> SignedLink:
    """Return what the token says; 404 when it is not ours, and 429 for those who guess."""
    settings = request_context.settings()
    link = events_and_reminders.read_link(token, settings.secret_keys)
    if link is None:
        row_lookup.count_wrong_link("moderation")
        abort(404, BROKEN_LINK)
    audit_log.act_as(Actor("link"))
    return link


def _repeated(link: SignedLink, notice: str, status: int) -> ResponseReturnValue:
    """Show the page again with a notice and the text of the reply; nothing was done."""
    found = comment_actions.find_linked(db.session(), link, clock.now())
    return _gone(found) if found.gone else (_page(found, link, notice), status)


def _page(found: LinkedComment, link: SignedLink, notice: str | None = None) -> str:
    return render_template(
        "moderate.html",
        comment=found.comment,
        expires_at=link.expires_at,
        token=visitor_tokens.new_token(),
        reply=clean_text(request.form.get("reply", "")),
        reply_limit=comment_actions.REPLY_LIMIT,
        notice=notice,
    )


def _gone(found: LinkedComment, *, is_done: bool = False) -> ResponseReturnValue:
    """Say why the link does nothing: 410, but 200 right after its button was pressed."""
    is_done = is_done and found.gone == "decided" and found.hold is not None and bool(found.hold.action)
    page = render_template("moderated.html", comment=found.comment, hold=found.hold, gone=found.gone)
    return page, 200 if is_done else 410

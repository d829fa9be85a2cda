"""The page about spam."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from guestbook.comments.spam import comment_facts, learned_words, spam_report
from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.storage.database import db, writing
from guestbook.web import request_context
from guestbook.web.admin import responses

pages = Blueprint("spam", __name__, url_prefix="/spam")


@pages.get("/")
def show() -> ResponseReturnValue:
    """Show how the spam rules are doing."""
    report = spam_report.read(db.session(), request_context.settings().secret_key, clock.now())
    return render_template(
        "admin/spam.html",
        report=report,
        is_on=request_context.preferences().score,
        days=request_context.settings().keep_spam_days,
    )


@pages.post("/end-flood")
def end_flood() -> ResponseReturnValue:
    """End the hour in which a flood holds all comments."""
    with writing() as session:
        comment_facts.end_flood(session.connection(), request_context.settings().secret_key)
    return responses.done(
        "New comments are published again. Those that were held still wait for you.", ".show"
    )


@pages.post("/forget")
def forget() -> ResponseReturnValue:
    """Erase what the score has learned."""
    with writing() as session:
        count = learned_words.forget_all(session, request_context.settings().secret_key)
    return responses.done(f"The score has forgotten {counted(count, 'word')}.", ".show")

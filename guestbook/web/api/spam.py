"""/spam: refusals at the form, a flood, and what the score has learned."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.comments.spam import comment_facts, learned_words, spam_report
from guestbook.lib import clock
from guestbook.storage.database import db, writing
from guestbook.web import request_context
from guestbook.web.api import idempotency

calls = Blueprint("spam", __name__, url_prefix="/spam")


@calls.get("")
def show() -> ResponseReturnValue:
    """Show how the spam rules are doing."""
    return spam_report.read(db.session(), request_context.settings().secret_key, clock.now()).shape()


@calls.post("/end-flood")
def end_flood() -> ResponseReturnValue:
    """Publish new comments again; those that were held stay held."""
    with writing() as session:
        comment_facts.end_flood(session.connection(), request_context.settings().secret_key)
        return idempotency.keep(session, "", 204)


@calls.post("/forget")
def forget() -> ResponseReturnValue:
    """Erase what the score has learned."""
    with writing() as session:
        words = learned_words.forget_all(session, request_context.settings().secret_key)
        return idempotency.keep(session, {"words": words})

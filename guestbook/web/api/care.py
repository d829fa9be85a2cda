"""/doctor and /spam; /webhooks/ID/reveal-secret and the same of sources."""

from flask import request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Conflict, TooManyRequests

from guestbook.auth import login
from guestbook.auth.login import TooManyTries
from guestbook.background.doctor import examination
from guestbook.background.doctor.examined_book import State
from guestbook.comments.spam import comment_facts, learned_words, spam_report
from guestbook.comments.submission import REFUSAL_REASONS
from guestbook.lib import clock
from guestbook.lib import json_schema as schema
from guestbook.lib.encryption import Unreadable
from guestbook.lib.json_schema import Schema
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Source, Webhook
from guestbook.web import request_context
from guestbook.web.api import idempotency, request_reader
from guestbook.web.api.api_call import Calls
from guestbook.web.row_lookup import find, find_locked

REFUSAL_SCHEMA: Schema = {
    "reason": schema.one_of(*REFUSAL_REASONS),
    "sentence": schema.TEXT,
    "number": schema.number("How often, in the last 30 days."),
    "today": schema.NUMBER,
}
SPAM_SCHEMA: Schema = {
    "refused": schema.array(schema.answer(REFUSAL_SCHEMA), "Why comments were refused at the form."),
    "held_until": schema.or_null(schema.time("Until when a flood holds all new comments; null without one.")),
    "learned_good": schema.number("Comments from which the score has learned what belongs here."),
    "learned_spam": schema.number("Comments from which it has learned what spam is."),
    "learned_words": schema.number("Words that it knows."),
}
FINDING_SCHEMA: Schema = {
    "subject": schema.TEXT,
    "state": schema.one_of(*(state.value for state in State)),
    "sentence": schema.TEXT,
    "advice": schema.or_null(schema.text("What to do, if there is something.")),
    "command": schema.or_null(schema.text("A command that helps.")),
}
CANNOT_REVEAL = "The secret cannot be decrypted with this secret key. Run doctor on the book's host."

calls = Calls(
    "care",
    Spam=schema.answer(SPAM_SCHEMA),
    Forgotten=schema.answer(words=schema.number("How many words it knew.")),
    Examination=schema.answer(
        state=schema.described(
            schema.one_of(*(state.value for state in State)), "The gravest state among them."
        ),
        findings=schema.array(schema.answer(FINDING_SCHEMA)),
    ),
    Reveal=schema.request(
        password=schema.text(
            "The owner's password. Wrong ones count as on the login page.",
            minLength=1,
            maxLength=login.LONGEST,
        ),
        required=("password",),
    ),
    Secret=schema.answer(secret=schema.or_null(schema.text("The secret; null if it has none."))),
)


@calls.serve("GET /doctor", {200: "Examination"})
def examine() -> ResponseReturnValue:
    """Look for problems, as doctor does."""
    # Doctor has a connection of its own, and tries to write.
    db.session.rollback()
    return examination.shape(examination.examine(request_context.settings()))


@calls.serve("GET /spam", {200: "Spam"})
def get_spam() -> ResponseReturnValue:
    """Show refused comments, a flood and what the score knows."""
    return spam_report.read(db.session(), request_context.settings().secret_key, clock.now()).shape()


@calls.serve("POST /spam/end-flood", {204: None})
def end_flood() -> ResponseReturnValue:
    """End the hour in which a flood holds all comments.

    Those that were held stay held.
    """
    with writing() as session:
        comment_facts.end_flood(session.connection(), request_context.settings().secret_key)
        return idempotency.keep(session, "", 204)


@calls.serve("POST /spam/forget", {200: "Forgotten"})
def forget_words() -> ResponseReturnValue:
    """Erase what the score has learned."""
    with writing() as session:
        words = learned_words.forget_all(session, request_context.settings().secret_key)
        return idempotency.keep(session, {"words": words})


@calls.serve("POST /webhooks/{webhook_id}/reveal-secret", {200: "Secret"}, errors=(409, 429), body="Reveal")
def reveal_webhook_secret(webhook_id: str) -> ResponseReturnValue:
    """Show the secret of a webhook; it needs the owner's password."""
    return _reveal(Webhook, webhook_id)


@calls.serve("POST /sources/{source_id}/reveal-secret", {200: "Secret"}, errors=(409, 429), body="Reveal")
def reveal_source_secret(source_id: str) -> ResponseReturnValue:
    """Show the secret of a source; it needs the owner's password."""
    return _reveal(Source, source_id)


def _reveal(model: type[Webhook] | type[Source], row_id: str) -> ResponseReturnValue:
    password = request_reader.body()["password"]
    find(model, row_id)
    # The check writes in a transaction of its own.
    db.session.rollback()
    try:
        login.confirm(password, address=request.remote_addr, settings=request_context.settings())
    except TooManyTries as error:
        raise TooManyRequests(str(error), retry_after=error.seconds) from None
    with writing() as session:
        row = find_locked(model, row_id)
        if isinstance(row.secret, Unreadable):
            raise Conflict(CANNOT_REVEAL)
        row_changes.note_reveal(session, row)
        return idempotency.keep(session, {"secret": row.secret})

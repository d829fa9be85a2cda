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
from guestbook.lib import clock, json_schema
from guestbook.lib.encryption import Unreadable
from guestbook.lib.json_schema import (
    NUMBER_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    Schema,
    answer,
    described,
    one_of,
    or_null,
)
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Source, Webhook
from guestbook.web import request_context
from guestbook.web.api import idempotency, request_reader
from guestbook.web.api.api_call import Calls
from guestbook.web.row_lookup import find, find_locked

REFUSAL_SCHEMA: Schema = {
    "reason": one_of(*REFUSAL_REASONS),
    "sentence": TEXT_SCHEMA,
    "number": described(NUMBER_SCHEMA, "How often, in the last 30 days."),
    "today": NUMBER_SCHEMA,
}
SPAM_SCHEMA: Schema = {
    "refused": described(
        {"type": "array", "items": answer(REFUSAL_SCHEMA)}, "Why comments were refused at the form."
    ),
    "held_until": described(
        or_null(TIME_SCHEMA), "Until when a flood holds all new comments; null without one."
    ),
    "learned_good": described(NUMBER_SCHEMA, "Comments from which the score has learned what belongs here."),
    "learned_spam": described(NUMBER_SCHEMA, "Comments from which it has learned what spam is."),
    "learned_words": described(NUMBER_SCHEMA, "Words that it knows."),
}
FINDING_SCHEMA: Schema = {
    "subject": TEXT_SCHEMA,
    "state": one_of(*(state.value for state in State)),
    "sentence": TEXT_SCHEMA,
    "advice": described(or_null(TEXT_SCHEMA), "What to do, if there is something."),
    "command": described(or_null(TEXT_SCHEMA), "A command that helps."),
}

calls = Calls(
    "care",
    {
        "Spam": answer(SPAM_SCHEMA),
        "Forgotten": answer({"words": described(NUMBER_SCHEMA, "How many words it knew.")}),
        "Examination": answer(
            {
                "state": described(
                    one_of(*(state.value for state in State)), "The gravest state among them."
                ),
                "findings": {"type": "array", "items": answer(FINDING_SCHEMA)},
            }
        ),
        "Reveal": json_schema.request(
            {
                "password": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": login.LONGEST,
                    "description": "The owner's password. Wrong ones count as on the login page.",
                }
            },
            required=("password",),
        ),
        "Secret": answer({"secret": described(or_null(TEXT_SCHEMA), "The secret; null if it has none.")}),
    },
)


@calls.serve("GET /doctor", {200: "Examination"})
def examine() -> ResponseReturnValue:
    """Look for problems, as doctor does."""
    db.session.rollback()  # it has a connection of its own, and tries to write
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


CANNOT_REVEAL = "The secret cannot be decrypted with this secret key. Run doctor on the book's host."


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
    db.session.rollback()  # the check writes in a transaction of its own
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

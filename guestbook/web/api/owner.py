"""The calls for the owner: settings, tokens, the audit log, spam, doctor and secrets shown again."""

from functools import partial
from typing import Any

from flask import request
from sqlalchemy.orm import Session
from werkzeug.exceptions import Conflict, TooManyRequests

from guestbook.auth import api_tokens, login
from guestbook.auth.login import TooManyTries
from guestbook.background.doctor import State, examination
from guestbook.comments.spam import learned_words, spam_report
from guestbook.comments.spam.spam_report import REFUSAL_REASONS
from guestbook.lib import clock, fields, json_schema as schema
from guestbook.lib.encryption import Unreadable
from guestbook.lib.json_schema import Schema
from guestbook.queries.filtered_lists import AuditFilter
from guestbook.storage import preferences, row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Source, Token, Webhook, owner
from guestbook.storage.models.owner import AUDIT_ENTRY_SCHEMA
from guestbook.storage.preferences import PREFERENCE_FIELDS
from guestbook.web import request_context, response_headers
from guestbook.web.api import idempotency, request_reader, row_calls
from guestbook.web.api.api_call import FULL_PAGE_QUERY, PAGE_QUERY, Answer, Calls, list_of
from guestbook.web.row_lookup import changing, find

AUDIT_QUERY = {
    **PAGE_QUERY,
    "action": schema.one_of(*owner.AUDITED_ACTIONS, description="Only entries with this action."),
    "actor": schema.one_of(*owner.ACTORS, description="Only entries of this kind of actor."),
    "since": schema.time("Only entries of this time or later."),
    "until": schema.time("Only entries before this time."),
}

# In characters. Each setting has a limit of its own, which its sentence names.
LONGEST_SETTING = 20_000
SHOWN_SETTINGS: Schema = {name: field.described for name, field in PREFERENCE_FIELDS.items()}
SETTING_FIELDS: Schema = {
    name: {**schema, "maxLength": LONGEST_SETTING}
    if schema["type"] == "string" and "enum" not in schema
    else schema
    for name, schema in SHOWN_SETTINGS.items()
}

REFUSAL = schema.answer(
    reason=schema.one_of(*REFUSAL_REASONS),
    sentence=schema.TEXT,
    number=schema.number("How often, in the last 30 days."),
    today=schema.NUMBER,
)
STATE = schema.one_of(*(state.value for state in State))
FINDING = schema.answer(
    subject=schema.TEXT,
    state=STATE,
    sentence=schema.TEXT,
    advice=schema.text_or_null("What to do, if there is something."),
    command=schema.text_or_null("A command that helps."),
)
CANNOT_REVEAL = "The secret cannot be decrypted with this secret key. Run doctor on the book's host."

calls = Calls(
    "owner",
    SettingChanges=schema.request(SETTING_FIELDS, least=1),
    Settings=schema.answer(SHOWN_SETTINGS),
    AuditEntry=schema.answer(AUDIT_ENTRY_SCHEMA),
    AuditEntries=list_of("audit", "AuditEntry"),
    Token=schema.answer(api_tokens.TOKEN_SCHEMA),
    Tokens=list_of("tokens", "Token"),
    Spam=schema.answer(
        refused=schema.array(REFUSAL, "Why comments were refused at the form."),
        held_until=schema.time_or_null("Until when a flood holds all new comments; null without one."),
        learned_good=schema.number("Comments from which the score has learned what belongs here."),
        learned_spam=schema.number("Comments from which it has learned what spam is."),
        learned_words=schema.number("Words that it knows."),
    ),
    Forgotten=schema.answer(words=schema.number("How many words it knew.")),
    Examination=schema.answer(
        state=schema.described(STATE, "The gravest state among them."), findings=schema.array(FINDING)
    ),
    Reveal=schema.request(
        password=schema.text(
            "The owner's password. Wrong ones count as on the login page.",
            minLength=1,
            maxLength=login.LONGEST,
        ),
        required=("password",),
    ),
    Secret=schema.answer(secret=schema.text_or_null("The secret; null if it has none.")),
)


@calls.serve("GET /settings", {200: "Settings"})
def get_settings() -> Answer:
    """Show the settings of the book."""
    return _shown(db.session())


@calls.serve("PATCH /settings", {200: "Settings"}, body="SettingChanges", may_match=True)
def update_settings() -> Answer:
    """Change settings of the book; others stay."""
    changes = request_reader.body()
    with writing() as session:
        preferences.lock(session)
        response_headers.refuse_if_changed(_shown(session))
        preferences.save(session, {name: fields.as_typed(value) for name, value in changes.items()})
        return _shown(session)


def _shown(session: Session) -> dict[str, Any]:
    return schema.of_row(preferences.read(session), PREFERENCE_FIELDS)


@calls.serve("GET /audit", {200: "AuditEntries"}, query=AUDIT_QUERY)
def list_audit_entries() -> Answer:
    """List the entries of the audit log."""
    shape = partial(schema.of_row, properties=AUDIT_ENTRY_SCHEMA)
    return row_calls.filtered("audit", AuditFilter, shape)


@calls.serve("GET /tokens", {200: "Tokens"}, query=FULL_PAGE_QUERY)
def list_tokens() -> Answer:
    """List the tokens, without their values."""
    return row_calls.rows("tokens", Token, api_tokens.shape)


@calls.serve("DELETE /tokens/{token_id}", {204: None})
def revoke_token(token_id: str) -> Answer:
    """Revoke a token.

    It may be the caller's own.
    """
    with changing(Token, token_id) as (session, token):
        api_tokens.revoke(session, token)
    return "", 204


@calls.serve("GET /doctor", {200: "Examination"})
def examine() -> Answer:
    """Look for problems, as doctor does."""
    # Doctor has a connection of its own, and tries to write.
    db.session.rollback()
    return examination.shape(examination.examine(request_context.settings()))


@calls.serve("GET /spam", {200: "Spam"})
def get_spam() -> Answer:
    """Show refused comments, a flood and what the score knows."""
    return spam_report.read(db.session(), request_context.settings().secret_key, clock.now()).shape()


@calls.serve("POST /spam/end-flood", {204: None})
def end_flood() -> Answer:
    """End the hour in which a flood holds all comments.

    Those that were held stay held.
    """
    with writing() as session:
        spam_report.end_flood(session.connection(), request_context.settings().secret_key)
        return idempotency.keep(session, "", 204)


@calls.serve("POST /spam/forget", {200: "Forgotten"})
def forget_words() -> Answer:
    """Erase what the score has learned."""
    with writing() as session:
        words = learned_words.forget_all(session, request_context.settings().secret_key)
        return idempotency.keep(session, {"words": words})


@calls.serve("POST /webhooks/{webhook_id}/reveal-secret", {200: "Secret"}, body="Reveal")
def reveal_webhook_secret(webhook_id: str) -> Answer:
    """Show the secret of a webhook; it needs the owner's password."""
    return _reveal(Webhook, webhook_id)


@calls.serve("POST /sources/{source_id}/reveal-secret", {200: "Secret"}, body="Reveal")
def reveal_source_secret(source_id: str) -> Answer:
    """Show the secret of a source; it needs the owner's password."""
    return _reveal(Source, source_id)


def _reveal(model: type[Webhook] | type[Source], row_id: str) -> Answer:
    password = request_reader.body()["password"]
    find(model, row_id)
    # The check writes in a transaction of its own.
    db.session.rollback()
    try:
        login.confirm(password, address=request.remote_addr, settings=request_context.settings())
    except TooManyTries as error:
        raise TooManyRequests(str(error), retry_after=error.seconds) from None
    with changing(model, row_id) as (session, row):
        if isinstance(row.secret, Unreadable):
            raise Conflict(CANNOT_REVEAL)
        row_changes.note_reveal(session, row)
        return idempotency.keep(session, {"secret": row.secret})

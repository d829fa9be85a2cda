"""/settings, /audit and /tokens."""

from typing import Any

from flask.typing import ResponseReturnValue

from guestbook.auth import api_tokens
from guestbook.lib import fields
from guestbook.lib import json_schema as schema
from guestbook.lib.json_schema import Schema
from guestbook.queries import filtered_lists
from guestbook.queries.filtered_lists import AuditFilter
from guestbook.storage import preferences
from guestbook.storage.database import db, writing
from guestbook.storage.models import Token, owner
from guestbook.storage.models.owner import AUDIT_ENTRY_SCHEMA
from guestbook.storage.preferences import PREFERENCE_FIELDS, Preferences
from guestbook.web import response_headers
from guestbook.web.api import api_call, request_reader
from guestbook.web.api.api_call import FULL_PAGE_QUERY, PAGE_QUERY, Calls, list_of
from guestbook.web.row_lookup import find_locked

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

calls = Calls(
    "owner",
    SettingChanges=schema.request(SETTING_FIELDS, least=1),
    Settings=schema.answer(SHOWN_SETTINGS),
    AuditEntry=schema.answer(AUDIT_ENTRY_SCHEMA),
    AuditEntries=list_of("audit", "AuditEntry"),
    Token=schema.answer(api_tokens.TOKEN_SCHEMA),
    Tokens=list_of("tokens", "Token"),
)


@calls.serve("GET /settings", {200: "Settings"})
def get_settings() -> ResponseReturnValue:
    """Show the settings of the book."""
    return _document(preferences.read(db.session()))


@calls.serve("PATCH /settings", {200: "Settings"}, body="SettingChanges", may_match=True)
def update_settings() -> ResponseReturnValue:
    """Change settings of the book; others stay."""
    changes = request_reader.body()
    with writing() as session:
        preferences.lock(session)
        response_headers.refuse_if_changed(_document(preferences.read(session)))
        preferences.save(session, {name: fields.as_typed(value) for name, value in changes.items()})
        return _document(preferences.read(session))


def _document(kept: Preferences) -> dict[str, Any]:
    return schema.of_row(kept, PREFERENCE_FIELDS)


@calls.serve("GET /audit", {200: "AuditEntries"}, query=AUDIT_QUERY)
def list_audit_entries() -> ResponseReturnValue:
    """List the entries of the audit log."""
    query = request_reader.query()
    wanted = AuditFilter(
        action=query.get("action"),
        actor=query.get("actor"),
        since=request_reader.moment(query.get("since")),
        until=request_reader.moment(query.get("until")),
    )
    page = filtered_lists.audit(db.session(), wanted, before=query.get("before"), limit=query["limit"])
    return api_call.page("audit", page, lambda row: schema.of_row(row, AUDIT_ENTRY_SCHEMA), query)


@calls.serve("GET /tokens", {200: "Tokens"}, query=FULL_PAGE_QUERY)
def list_tokens() -> ResponseReturnValue:
    """List the tokens, without their values."""
    return api_call.rows("tokens", Token, api_tokens.shape, request_reader.query())


@calls.serve("DELETE /tokens/{token_id}", {204: None})
def revoke_token(token_id: str) -> ResponseReturnValue:
    """Revoke a token.

    It may be the caller's own.
    """
    with writing() as session:
        api_tokens.revoke(session, find_locked(Token, token_id))
    return "", 204

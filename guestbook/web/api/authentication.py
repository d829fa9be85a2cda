"""Tokens of API requests. Cookies are ignored, so they cannot be abused.

Wrong tokens are not counted: nobody can guess 256 random bits.
"""

import re
from typing import NoReturn

from flask import Response, g, request
from werkzeug.exceptions import Unauthorized

from guestbook.auth import api_tokens
from guestbook.lib import clock
from guestbook.storage import audit_log, row_changes
from guestbook.storage.audit_log import NOBODY, Actor
from guestbook.storage.database import db
from guestbook.storage.models import Token
from guestbook.storage.models.owner import SCOPES
from guestbook.web import conditional
from guestbook.web.api import api_call, rate_headers, request_reader
from guestbook.web.error_pages import InsufficientScope

BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
BEARER_CHALLENGE = 'Bearer realm="guestbook"'  # RFC 9110 section 11.6.1, RFC 6750 section 3
TOKEN_NEEDED = "This needs a token: Authorization: Bearer gbk_…"
UNKNOWN_TOKEN = "This token is not known: it is mistyped, belongs to another book, or was revoked."


def authenticate() -> None:
    """Check that the request is allowed; raises Unauthorized."""
    g.token_id = None
    audit_log.act_as(NOBODY)
    if request.method == "OPTIONS" or (call := request_reader.call()).token == "ignored":
        return  # Flask answers OPTIONS with the allowed methods only
    given = BEARER.fullmatch(request.headers.get("Authorization", ""))
    token = api_tokens.find(db.session(), given[1]) if given else None
    if token is not None:
        _admit(token, api_call.scope(request_reader.address()))
    elif given:
        refuse("invalid_token", UNKNOWN_TOKEN)
    elif call.token == "needed":
        refuse()


def has_token() -> bool:
    """Whether the request has a valid token."""
    return g.get("token_id") is not None


def token_value() -> str | None:
    """Return the valid token of the request."""
    given = BEARER.fullmatch(request.headers.get("Authorization", "")) if has_token() else None
    return given[1] if given else None


def may(scope: str) -> bool:
    """Whether the request has a valid token with that scope."""
    return has_token() and scope in g.token_scopes


def require(scope: str, what: str) -> None:
    """Answer 403 unless the token has that scope; `what` begins the sentence."""
    if not may(scope):
        g.challenge = f'{BEARER_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
        raise InsufficientScope(f"{what} needs a token with the scope {scope}.")


def refuse(error: str | None = None, sentence: str = TOKEN_NEEDED) -> NoReturn:
    """Answer 401: a valid token is needed."""
    g.challenge = f'{BEARER_CHALLENGE}, error="{error}"' if error else BEARER_CHALLENGE
    raise Unauthorized(sentence)


def add_headers(response: Response) -> Response:
    """Let any website read public answers, and let no cache keep the others."""
    if "challenge" in g:
        response.headers["WWW-Authenticate"] = g.challenge
    if request.method in ("GET", "HEAD") and not has_token() and request_reader.call().token != "needed":
        response.headers.update(conditional.FROM_ANY_SITE)
        response.vary.add("Authorization")
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


def _admit(token: Token, scope: str) -> None:
    """Check that a token allows this, and note its use."""
    now = clock.now()
    if token.expires_at and token.has_expired(now):
        sentence = f"This token expired on {token.expires_at:%Y-%m-%d}. The owner can make another."
        refuse("invalid_token", sentence)
    if not token.may(scope):
        g.challenge = f'{BEARER_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
        raise InsufficientScope(f"This needs a token with the scope {scope}; yours has {token.scope}.")
    g.token_id, g.token_scopes = token.id, {one for one in SCOPES if token.may(one)}
    audit_log.act_as(Actor("token", token.id, token.name))
    rate_headers.count_token(token.id)
    if row_changes.is_use_due(token, now):
        db.session.rollback()  # a reader would keep SQLite's rollback journal from being written
        row_changes.note_use(db.engine, Token, g.token_id, now)

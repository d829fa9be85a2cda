"""Tokens of API requests: what each may do, how often, and what it may see.

Cookies are ignored, so they cannot be abused. Wrong tokens are not counted: nobody can guess 256 random bits.
Requests with a token are counted in memory, because one that only reads must not write; where a server has
several processes, each counts alone. The headers are those of draft-ietf-httpapi-ratelimit-headers-11.
No answer has anything with which a token could do more than its scope. Answers to tokens below `manage` pass
`mask`, which hides addresses of the book that work like passwords. Views hide the secret parts of other URLs,
and what base64 would carry past the mask.
"""

import math
import re
import time
from contextlib import suppress
from typing import NoReturn

from flask import Response, g, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import TooManyRequests, Unauthorized

from guestbook.auth import api_tokens
from guestbook.comments import submission
from guestbook.lib import body_encoding, clock, redaction
from guestbook.lib.rate_counters import WindowCounter
from guestbook.storage import audit_log, row_changes
from guestbook.storage.audit_log import NOBODY, Actor
from guestbook.storage.database import db
from guestbook.storage.models import Token
from guestbook.storage.models.owner import SCOPES
from guestbook.web import book_signing, response_headers
from guestbook.web.api import api_call
from guestbook.web.error_pages import InsufficientScope

BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
BEARER_CHALLENGE = 'Bearer realm="guestbook"'  # RFC 9110 section 11.6.1, RFC 6750 section 3
TOKEN_NEEDED = "This needs a token: Authorization: Bearer gbk_…"
UNKNOWN_TOKEN = "This token is not known: it is mistyped, belongs to another book, or was revoked."
# A hundred in a second: this stops a program that has gone wild.
REQUESTS_PER_MINUTE = 6000
TOO_MANY_REQUESTS = "This token has made too many requests. Wait as long as Retry-After says."

token_requests = WindowCounter(REQUESTS_PER_MINUTE, 60)


def authenticate() -> None:
    """Check that the request is allowed; raise Unauthorized."""
    g.token_id = None
    audit_log.act_as(NOBODY)
    if request.method == "OPTIONS" or (call := api_call.current()).token == "ignored":
        return  # Flask answers OPTIONS with the allowed methods only.
    given = BEARER.fullmatch(request.headers.get("Authorization", ""))
    token = api_tokens.find(db.session(), given[1]) if given else None
    if given and token:
        # Who may not see all that is in payloads could find out an address there, letter by letter.
        searches = "text" in call.query and "text" in request.args
        _admit(token, *(("manage", "The parameter text") if searches else (call.scope, "This")))
        g.token_value = given[1]
    elif given:
        refuse("invalid_token", UNKNOWN_TOKEN)
    elif call.token == "needed":
        refuse()


def has_token() -> bool:
    """Whether the request has a valid token."""
    return g.get("token_id") is not None


def may(scope: str) -> bool:
    """Whether the request has a valid token with that scope."""
    return has_token() and scope in g.token_scopes


def refuse(error: str | None = None, sentence: str = TOKEN_NEEDED) -> NoReturn:
    """Answer 401: a valid token is needed."""
    g.challenge = f'{BEARER_CHALLENGE}, error="{error}"' if error else BEARER_CHALLENGE
    raise Unauthorized(sentence)


def add_headers(response: Response) -> Response:
    """Let any website read public answers, and let no cache keep the others."""
    if "challenge" in g:
        response.headers["WWW-Authenticate"] = g.challenge
    if request.method in ("GET", "HEAD") and not has_token() and api_call.current().token != "needed":
        response.headers.update(response_headers.FROM_ANY_SITE)
        response.vary.add("Authorization")
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


def _admit(token: Token, scope: str, what: str) -> None:
    """Check that a token allows this, and note its use; `what` begins the sentence of a refusal."""
    now = clock.now()
    if token.expires_at and token.has_expired(now):
        sentence = f"This token expired on {token.expires_at:%Y-%m-%d}. The owner can make another."
        refuse("invalid_token", sentence)
    if not token.may(scope):
        g.challenge = f'{BEARER_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
        raise InsufficientScope(f"{what} needs a token with the scope {scope}; yours has {token.scope}.")
    g.token_id, g.token_scopes = token.id, {one for one in SCOPES if token.may(one)}
    audit_log.act_as(Actor("token", token.id, token.name))
    left, seconds = token_requests.take(token.id, time.monotonic())
    g.token_limit = _limit("token", token_requests.most, token_requests.seconds, max(0, left), seconds)
    if left < 0:
        raise TooManyRequests(TOO_MANY_REQUESTS, retry_after=math.ceil(seconds))
    row_changes.note_use(db.session(), token, now)


def add_limits(response: Response) -> Response:
    """Name the limits that this request counts for, and what is left of each."""
    limits = [g.token_limit] if "token_limit" in g else []
    is_comment = request.method == "POST" and api_call.current().address == "POST /comments"
    if is_comment and response.status_code < 500:
        with suppress(SQLAlchemyError):
            visitor, window = book_signing.visitor(), submission.RATE_WINDOW.total_seconds()
            left = visitor.left_of_limit(db.session().connection())
            limits.append(_limit("comments", visitor.book.rate, window, *left))
    if limits:
        response.headers["RateLimit-Policy"] = ", ".join(policy for policy, _ in limits)
        response.headers["RateLimit"] = ", ".join(state for _, state in limits)
    return response


def _limit(name: str, most: int, window: float, left: int, seconds: float) -> tuple[str, str]:
    """Return the policy and its state, as structured fields (RFC 8941)."""
    return f'"{name}";q={most};w={window:.0f}', f'"{name}";r={left};t={math.ceil(seconds)}'


def shown_url(url: str) -> str:
    """Return a URL that works like a password, or its host if the token may not use it."""
    return url if may("manage") else redaction.url(url)


def mask(response: Response) -> Response:
    """Hide the addresses of sources, bins and links that the token may not use itself."""
    if has_token() and not may("manage"):
        response.set_data(_masked(response.get_data(as_text=True)))
    return response


def packed(name: str, content: bytes) -> dict[str, str]:
    """Return bytes as text or in Base64, without what the token may not see."""
    text, encoding = body_encoding.pack(_masked(content.decode("latin-1")).encode("latin-1"))
    return {name: text, "encoding": encoding}


def _masked(text: str) -> str:
    if may("manage"):
        return text
    return redaction.addresses(text, may_moderate=may("moderate"))

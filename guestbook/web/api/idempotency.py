"""Idempotency-Key: a POST that is repeated with the same key gets the first answer, and does nothing.

See draft-ietf-httpapi-idempotency-key-header-07. The answer is stored in the transaction of the effect, so
a killed server leaves both or neither; `keep_late` is for calls that need several transactions. A refused
request changes nothing, so its answer is not stored.

    stored ── same request ──▶ the first answer        running in this process ──▶ 409
           └─ another one ───▶ 422                     else: effect and answer, in one transaction
"""

import base64
import hashlib
import hmac
import json
import logging
import re
import secrets
import threading
from http import HTTPStatus
from typing import Any, NamedTuple

from flask import Response, g, make_response, request
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.exceptions import BadRequest, Conflict

from guestbook.auth import rate_limit
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.storage.database import db, writing
from guestbook.storage.models import IdempotencyKey
from guestbook.web import error_pages, request_context

KEY_HEADER = "Idempotency-Key"
KEY_PATTERN = "^[!-~]([ -~]*[!-~])?$"
KEY_LIMIT = 255  # characters
# Stripe names it so.
REPLAYED_HEADER = "Idempotent-Replayed"
BAD_KEY = f"{KEY_HEADER} must have 1 to {KEY_LIMIT} characters of ASCII, such as a UUID in double quotes."
OTHER_REQUEST = (
    f"Nothing was changed, because this {KEY_HEADER} belongs to another request. Use a new one for each."
)
STILL_RUNNING = f"A request with this {KEY_HEADER} is still running. Repeat it in a moment."
UNREADABLE_ANSWER = "The first answer cannot be read any more. Look whether its work was done."
NONCE_BYTES, TAG_BYTES = 16, 32
STORED_HEADERS = ("Content-Type", "Location")

log = logging.getLogger(__name__)
_running: set[str] = set()
_running_lock = threading.Lock()


class AnsweredMeanwhile(Exception):
    """Another process has answered the same request, and the work of this one was rolled back."""


class RepeatableRequest(NamedTuple):
    """A request with a key. Both hashes and the secret are made of the key and the token, or the network."""

    id: str
    request: str  # a hash of the method, the address and the body
    secret: bytes  # encrypts the answer, which may show a webhook's secret


def look_up() -> Response | None:
    """Answer a repeat; note a first request, and that it is running."""
    given = request.headers.get(KEY_HEADER)
    if request.method != "POST" or given is None:
        return None
    mine = g.repeatable = _repeatable(given)
    # This comes before the look, else one that ends meanwhile would be missed.
    with _running_lock:
        is_first = mine.id not in _running
        _running.add(mine.id)
    if is_first:
        g.running_id = mine.id
    # For the same reason: SQLite goes on showing what the check of the token saw.
    db.session.rollback()
    if (found := _first_answer(mine)) or not is_first:
        g.pop("repeatable")
    if not found and not is_first:
        raise Conflict(STILL_RUNNING)
    return found


def keep(session: Session, shown: Any, status: int = HTTPStatus.OK) -> Response:
    """Return the answer to a POST, and store it for repeats in the transaction of its effect."""
    response = make_response((shown, status))
    if status == HTTPStatus.CREATED:
        response.location = f"{request_context.settings().base_url}{request.path}/{shown['id']}"
    if "repeatable" in g:
        # An error of these rows is not one of the key.
        session.flush()
        _store(session, response)
    return response


def keep_late(response: Response) -> Response:
    """Store an answer that no transaction has stored: of a view that changes nothing, or in many steps."""
    if "repeatable" in g and not g.get("is_kept") and response.status_code < 300:
        try:
            with writing() as session:
                _store(session, response)
        except (AnsweredMeanwhile, SQLAlchemyError) as error:
            # What was done stays done.
            log.warning("An answer is not stored for repeats: %s", error)
    return response


def answer_meanwhile(_error: AnsweredMeanwhile) -> Response:
    """Answer as the other process did."""
    return _first_answer(g.pop("repeatable")) or error_pages.fill_json(Response(status=409), STILL_RUNNING)


def stop_running(_error: BaseException | None) -> None:
    """Let the next request with this key in."""
    if running_id := g.pop("running_id", None):
        with _running_lock:
            _running.discard(running_id)


def _repeatable(given: str) -> RepeatableRequest:
    """Read the header: a string of RFC 8941, or its characters without the quotes as many programs send."""
    if len(given) > KEY_LIMIT or not re.fullmatch(KEY_PATTERN, given):
        raise BadRequest(BAD_KEY)
    key = given[1:-1] if len(given) > 2 and given[0] == given[-1] == '"' else given
    secret_key, address = request_context.settings().secret_key, request.remote_addr or ""
    caller = g.get("token_value") or rate_limit.who(secret_key, KEY_HEADER, address)
    root = hmac.digest(caller.encode(), f"{KEY_HEADER} {key}".encode(), "sha256")
    asked = f"{request.method} {request.full_path}\n".encode() + request.get_data()
    return RepeatableRequest(
        hmac.new(root, b"id", "sha256").hexdigest(),
        hmac.new(root, b"request " + asked, "sha256").hexdigest(),
        hmac.digest(root, b"answer", "sha256"),
    )


def _first_answer(mine: RepeatableRequest) -> Response | None:
    """Return the stored answer, or 422 for another request with the key; None if there is neither."""
    row = db.session.get(IdempotencyKey, mine.id, populate_existing=True)
    if row is None:
        return None
    if row.request != mine.request:
        return error_pages.refuse_json(Refused(OTHER_REQUEST))
    try:
        stored: dict[str, Any] = json.loads(_opened(mine.secret, row.answer))
    except ValueError:
        raise Conflict(UNREADABLE_ANSWER) from None
    return Response(stored["body"], stored["status"], stored["headers"] | {REPLAYED_HEADER: "true"})


def _store(session: Session, response: Response) -> None:
    mine: RepeatableRequest = g.repeatable
    headers = {name: response.headers[name] for name in STORED_HEADERS if name in response.headers}
    answer = {"status": response.status_code, "headers": headers, "body": response.get_data(as_text=True)}
    row = {"id": mine.id, "request": mine.request, "created_at": clock.now()}
    row["answer"] = _sealed(mine.secret, json.dumps(answer))
    try:
        session.execute(insert(IdempotencyKey).values(**row))
    except IntegrityError:
        raise AnsweredMeanwhile from None
    g.is_kept = True


def _sealed(key: bytes, text: str) -> str:
    """Return the text encrypted, as ASCII.

    It needs no package, unlike the encryption of secrets: an answer may hold words of a comment that is
    deleted for good, and links that are stored nowhere else.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = nonce + _mixed(key, nonce, text.encode())
    return base64.b64encode(_tag(key, sealed) + sealed).decode()


def _opened(key: bytes, sealed: str) -> bytes:
    """Return the text; raises ValueError where the key is another one, or the sealed text was changed."""
    found = base64.b64decode(sealed)
    tag, rest = found[:TAG_BYTES], found[TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(key, rest)):
        raise ValueError("another key, or damaged")
    return _mixed(key, rest[:NONCE_BYTES], rest[NONCE_BYTES:])


def _mixed(key: bytes, nonce: bytes, text: bytes) -> bytes:
    """Encrypt or decrypt: both are the same."""
    stream = hashlib.shake_256(hmac.digest(key, b"stream", "sha256") + nonce).digest(len(text))
    return (int.from_bytes(text) ^ int.from_bytes(stream)).to_bytes(len(text))


def _tag(key: bytes, sealed: bytes) -> bytes:
    return hmac.digest(hmac.digest(key, b"tag", "sha256"), sealed, "sha256")

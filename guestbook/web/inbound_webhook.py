"""What other programs send is stored and answered at once: webhooks of sources, and any request to a bin.

The pass verifies a webhook later. First come the URLs of sources, then those of bins.
"""

import re
import threading
import time
from contextlib import suppress
from urllib.parse import quote

from flask import Blueprint, Response, abort, request
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import TooManyRequests
from werkzeug.routing import BaseConverter, Rule

from guestbook.inbound import event_reader, ingest, request_bins
from guestbook.inbound.ingest import PackedRequest, SourceFull, SourceGone
from guestbook.inbound.request_bins import CapturedRequest
from guestbook.lib import clock, ids
from guestbook.lib.verification.kinds import ED25519, URL
from guestbook.storage.database import db, writing
from guestbook.storage.models import Source
from guestbook.storage.models.source import BIN_PATH
from guestbook.web import request_context, response_headers

pages = Blueprint("inbound_webhook", __name__, url_prefix="/hooks")

FULL_RETRY_AFTER = 300  # seconds


@pages.post("/<token>")
def receive(token: str) -> ResponseReturnValue:
    """Store any body and answer 202; nothing is verified or parsed, but for senders that insist on it."""
    source, settings = _source(token), request_context.settings()
    body = request.get_data()  # Flask keeps it: the view runs again if the transaction had to yield.
    if not body and (challenge := event_reader.url_challenge(request.args, _header(source))) is not None:
        return _text(challenge)
    query = _plain(request.environ.get("QUERY_STRING", ""))
    url = source.url(settings.base_url) + (f"?{query}" if query else "")
    packed = ingest.pack(source, {**request.headers, URL: url}, body, proof_key=settings.secret_key)
    try:
        event_id = ingest.receive(source, packed, settings.secret_keys)
    except SourceFull as error:
        raise TooManyRequests(str(error), retry_after=FULL_RETRY_AFTER) from None
    except SourceGone:
        abort(404)
    return _handshake(source, packed, body) or ({"id": event_id, "status": "new"}, 202)


@pages.get("/<token>")
def greet(token: str) -> ResponseReturnValue:
    """Answer a sender that checks the URL first; Meta, WebSub and Dropbox do so with a challenge."""
    args, header = request.args, _header(_source(token))
    if "hub.mode" not in args:
        return _text(event_reader.url_challenge(args, header) or "This address takes webhooks, by POST.\n")
    challenge = event_reader.meta_challenge(args, token, is_websub=header == event_reader.WEBSUB_HEADER)
    if challenge is None:
        abort(403, "The hub.verify_token must be the last part of this address.")
    return _text(challenge)


def _header(source: Source) -> str:
    return (source.header or "").lower()


def _text(answer: str) -> Response:
    return Response(answer, mimetype="text/plain")


def _source(token: str) -> Source:
    source = ingest.find(db.session(), token) if ids.URL_TOKEN.fullmatch(token) else None
    return source if source is not None else abort(404)


def _handshake(source: Source, packed: PackedRequest, body: bytes) -> ResponseReturnValue | None:
    """Return the answer that Slack, Zoom, Twitch or Discord wants at once; all but Slack's need a proof."""
    if source.verify == "slack" and (challenge := event_reader.challenge("slack", body)) is not None:
        return _text(challenge)
    is_discord = source.verify == ED25519 and _header(source) == event_reader.DISCORD_HEADER
    if not is_discord and not (source.verify == "hmac" and event_reader.is_handshake("hmac", body)):
        return None
    if source.is_unreadable:
        abort(503, "The book cannot prove the sender now.")
    if not ingest.is_genuine(source, packed, request_context.settings().secret_keys):
        # Discord tries it out, and takes a URL away that does not answer 401.
        return ({"error": "The signature is not valid."}, 401) if is_discord else None
    if is_discord:
        return event_reader.discord_answer(body) or ("", 204)
    if (zoom := event_reader.challenge("zoom", body)) is not None:
        return event_reader.zoom_answer(zoom, source.secret or "")
    return _text(event_reader.challenge("twitch", body) or "")


bin_pages = Blueprint("bins", __name__)

BIN_METHOD = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}")  # RFC 9110 section 5.6.2, as long as the column
UNUSUAL = re.compile("[^\x21-\x7e]")
ADDRESS_LIMIT = 32_000  # characters of a path, and of a query
WAITERS = 2  # delayed answers at once in one process: a server has few threads, often four

_waiters = threading.BoundedSemaphore(WAITERS)


class Rest(BaseConverter):
    """All that follows, also slashes at both ends or nothing at all."""

    regex = ".*"
    part_isolating = False


def capture(token: str, rest: str = "") -> ResponseReturnValue:
    """Store any request and answer as the bin is set."""
    bin_id = request_bins.find(db.session(), token) if ids.URL_TOKEN.fullmatch(token) else None
    if bin_id is None:
        abort(404)
    captured, answer = _captured(token, rest), None
    with suppress(IntegrityError), writing() as session:  # The owner may just have deleted the bin.
        answer = request_bins.capture(session, bin_id, captured)
    if answer is None:
        abort(404)
    db.session.remove()  # Do not hold a connection during the delay.
    # So many may wait at once that a thread is left.
    if answer.delay > 0 and _waiters.acquire(blocking=False):
        try:
            time.sleep(answer.delay)
        finally:
            _waiters.release()
    body = "" if answer.status in (204, 205, 304) else answer.body
    return Response(body, answer.status, content_type=answer.type)


@bin_pages.record
def add_rules(state: BlueprintSetupState) -> None:
    """Add the rules directly: Flask's decorator needs the methods by name, and answers OPTIONS itself."""
    state.app.url_map.converters["rest"] = Rest
    state.app.view_functions["bins.catch"] = capture
    state.app.url_map.add(Rule(f"{BIN_PATH}<token>", endpoint="bins.catch"))
    state.app.url_map.add(Rule(f"{BIN_PATH}<token>/<rest:rest>", endpoint="bins.catch"))


def _captured(token: str, rest: str) -> CapturedRequest:
    environ, now = request.environ, clock.now()
    method, path = environ["REQUEST_METHOD"], _path(token, rest)
    query = _plain(environ.get("QUERY_STRING", ""))
    if not BIN_METHOD.fullmatch(method):
        abort(400, "A method has at most 20 letters. Nothing was kept.")
    if max(len(path), len(query)) > ADDRESS_LIMIT:
        abort(414, "The address is too long for a bin. Nothing was kept.")
    # An owner who opens the bin's address in a browser must not keep the login there.
    headers = [one for one in request.headers if response_headers.ADMIN_COOKIE not in one[1]]
    # Flask keeps the body: the view runs again if the transaction had to yield.
    return CapturedRequest(method, path, query, headers, request.get_data(), now)


def _path(token: str, rest: str) -> str:
    """Return the path after the token: from the request line if the server gives it, else encoded again."""
    line = request.environ.get("REQUEST_URI") or request.environ.get("RAW_URI") or ""
    _, found, after = line.partition("?")[0].partition(BIN_PATH + token)
    if found and (not after or after.startswith("/")):
        return _plain(after)
    return quote(f"/{rest}") if request.path != BIN_PATH + token else ""


def _plain(text: str) -> str:
    """Encode characters that a request line must not hold; WSGI gives its bytes as Latin-1."""
    return UNUSUAL.sub(lambda found: quote(found[0].encode("latin-1", "replace")), text)

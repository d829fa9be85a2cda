"""The URLs of bins: every request, by any method, is kept and answered as the bin is set."""

import re
import threading
import time
from contextlib import suppress
from urllib.parse import quote

from flask import Blueprint, Response, abort, request
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError
from werkzeug.routing import BaseConverter, Rule

from guestbook.inbound import bins
from guestbook.inbound.bins import CapturedRequest
from guestbook.lib import clock, ids
from guestbook.storage.database import db, writing

pages = Blueprint("bins", __name__)

BIN_PATH = "/bin/"
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
    bin_id = bins.find(db.session(), token) if ids.URL_TOKEN.fullmatch(token) else None
    if bin_id is None:
        abort(404)
    captured, answer = _captured(token, rest), None
    with suppress(IntegrityError), writing() as session:  # The owner may just have deleted the bin.
        answer = bins.capture(session, bin_id, captured)
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


@pages.record
def add_rules(state: BlueprintSetupState) -> None:
    """Add the rules directly: Flask's decorator needs the methods by name, and answers OPTIONS itself."""
    state.app.url_map.converters["rest"] = Rest
    state.app.view_functions["bins.catch"] = capture
    state.app.url_map.add(Rule(f"{BIN_PATH}<token>", endpoint="bins.catch"))
    state.app.url_map.add(Rule(f"{BIN_PATH}<token>/<rest:rest>", endpoint="bins.catch"))


def _captured(token: str, rest: str) -> CapturedRequest:
    environ, now = request.environ, clock.now()
    method, path, query = (
        environ["REQUEST_METHOD"],
        _path(token, rest),
        _plain(environ.get("QUERY_STRING", "")),
    )
    if not BIN_METHOD.fullmatch(method):
        abort(400, "A method has at most 20 letters. Nothing was kept.")
    if max(len(path), len(query)) > ADDRESS_LIMIT:
        abort(414, "The address is too long for a bin. Nothing was kept.")
    # Flask keeps the body: the view runs again if the transaction had to yield.
    return CapturedRequest(method, path, query, list(request.headers), request.get_data(), now)


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

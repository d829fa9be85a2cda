"""The door of the bins: whatever is sent, by whatever method, is kept and answered as the bin is set."""

import re
import threading
import time
from urllib.parse import quote

from flask import Blueprint, Response, abort, request
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError
from werkzeug.routing import BaseConverter, Rule

from guestbook.inbound import bins
from guestbook.inbound.bins import Answer, Caught
from guestbook.lib import clock
from guestbook.storage.database import db, writing

pages = Blueprint("bins", __name__)

PLACE = "/bin/"
TOKEN = re.compile("[0-9A-Za-z_-]{1,64}")
METHOD = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}")  # RFC 9110 section 5.6.2, as long as the column
UNUSUAL = re.compile("[^\x21-\x7e]")
ADDRESS_LIMIT = 32_000  # characters of a path, and of a query
WAITERS = 2  # answers that are delayed at once in one process: a server has few threads, often four
NO_BODY = (204, 205, 304)
TOO_LONG = "The address is longer than a bin keeps. Nothing was kept."
NO_METHOD = "A method is a word of at most 20 letters. Nothing was kept."

_waiters = threading.BoundedSemaphore(WAITERS)


class Rest(BaseConverter):
    """All that follows, slashes at both ends and nothing at all included."""

    regex = ".*"
    part_isolating = False


def catch(token: str, rest: str = "") -> ResponseReturnValue:
    """Store what came and answer as the bin is set; no method, no header and no body is unwelcome."""
    bin_id = bins.find(db.session(), token) if TOKEN.fullmatch(token) else None
    if bin_id is None:
        abort(404)
    caught = _caught(token, rest)
    answer = _store(bin_id, caught)
    db.session.remove()  # a connection must not wait too
    _wait(answer.delay)
    body = "" if answer.status in NO_BODY else answer.body
    return Response(body, answer.status, content_type=answer.type)


@pages.record
def open_door(state: BlueprintSetupState) -> None:
    """Add the rules by hand: Flask's own way wants the methods by name, and answers OPTIONS itself."""
    state.app.url_map.converters["rest"] = Rest
    state.app.view_functions["bins.catch"] = catch
    state.app.url_map.add(Rule(f"{PLACE}<token>", endpoint="bins.catch"))
    state.app.url_map.add(Rule(f"{PLACE}<token>/<rest:rest>", endpoint="bins.catch"))


def _caught(token: str, rest: str) -> Caught:
    environ, now = request.environ, clock.now()
    method = environ["REQUEST_METHOD"]
    path = _path(token, rest)
    query = _plain(environ.get("QUERY_STRING", ""))
    if not METHOD.fullmatch(method):
        abort(400, NO_METHOD)
    if max(len(path), len(query)) > ADDRESS_LIMIT:
        abort(414, TOO_LONG)
    # Kept by Flask, for the view is run again when the transaction had to yield.
    return Caught(method, path, query, list(request.headers), request.get_data(), now)


def _path(token: str, rest: str) -> str:
    """Return what follows the token: as in the request line where the server tells it, else encoded anew."""
    line = request.environ.get("REQUEST_URI") or request.environ.get("RAW_URI") or ""
    _, found, after = line.partition("?")[0].partition(PLACE + token)
    if found and (not after or after.startswith("/")):
        return _plain(after)
    return quote(f"/{rest}") if request.path != PLACE + token else ""


def _plain(text: str) -> str:
    """Write out what may not stand in a request line, which WSGI gives as bytes in the dress of Latin-1."""
    return UNUSUAL.sub(lambda found: quote(found[0].encode("latin-1", "replace")), text)


def _store(bin_id: str, caught: Caught) -> Answer:
    try:
        with writing() as session:
            answer = bins.catch(session, bin_id, caught)
    except IntegrityError:  # the owner has deleted the bin in this very moment
        answer = None
    return answer if answer is not None else abort(404)


def _wait(seconds: float) -> None:
    """Wait before the answer, unless so many wait already that the book would have no thread left."""
    if seconds > 0 and _waiters.acquire(blocking=False):
        try:
            time.sleep(seconds)
        finally:
            _waiters.release()

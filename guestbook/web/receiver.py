"""The receiver of webhooks: stored and answered at once, verified later by the pass."""

from flask import Blueprint, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import TooManyRequests

from guestbook.inbound import handshakes, ingest
from guestbook.inbound.ingest import PackedRequest, ReceivingSource, SourceFull
from guestbook.lib import ids
from guestbook.storage.database import db, writing
from guestbook.storage.models import Source
from guestbook.web import current

pages = Blueprint("receiver", __name__, url_prefix="/hooks")

FULL_RETRY_AFTER = 300  # seconds


@pages.post("/<token>")
def receive(token: str) -> ResponseReturnValue:
    """Store any body and answer 202; nothing is verified or parsed."""
    source = _source(token)
    body = request.get_data()  # Flask keeps it: the view runs again if the transaction had to yield
    event_id = _store(source, body)
    if source.verify == "slack" and (challenge := handshakes.slack_challenge(body)) is not None:
        return Response(challenge, mimetype="text/plain")
    return jsonify(id=event_id, status="new"), 202


@pages.get("/<token>")
def greet(token: str) -> ResponseReturnValue:
    """Answer a sender that checks the URL first; Meta does so with a challenge."""
    _source(token)
    if "hub.mode" in request.args:
        challenge = handshakes.meta_challenge(request.args, token)
        if challenge is None:
            abort(403, "The hub.verify_token must be the last part of this address.")
        return Response(challenge, mimetype="text/plain")
    return Response("This address takes webhooks, by POST.\n", mimetype="text/plain")


def _source(token: str) -> ReceivingSource:
    source = ingest.find(db.session(), token) if ids.URL_TOKEN.fullmatch(token) else None
    return source if source is not None else abort(404)


def _store(source: ReceivingSource, body: bytes) -> str:
    """Store it. Only if there is no room, verify it first: a genuine sender has a reserve."""
    key = current.settings().secret_key
    packed = ingest.pack(source, dict(request.headers), body, proof_key=key)
    try:
        return _insert(source, packed)
    except SourceFull:
        ingest.make_room(db.session(), source, packed)
    row = db.session().get(Source, source.source_id) or abort(404)
    try:
        return _insert(source, packed, is_genuine=ingest.is_genuine(row, packed, key))
    except SourceFull as error:
        raise TooManyRequests(str(error), retry_after=FULL_RETRY_AFTER) from None


def _insert(source: ReceivingSource, packed: PackedRequest, *, is_genuine: bool = False) -> str:
    try:
        with writing() as session:
            return ingest.store(session.connection(), source, packed, is_genuine=is_genuine)
    except IntegrityError:  # the owner has just deleted the source
        abort(404)

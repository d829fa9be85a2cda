"""The receiver of webhooks: stored and answered at once, verified later by the pass."""

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import TooManyRequests

from guestbook.inbound import event_reader, ingest
from guestbook.inbound.ingest import PackedRequest, SourceFull, SourceGone
from guestbook.lib import ids
from guestbook.lib.verification.kinds import ED25519
from guestbook.storage.database import db
from guestbook.storage.models import Source
from guestbook.web import request_context

pages = Blueprint("inbound_webhook", __name__, url_prefix="/hooks")

FULL_RETRY_AFTER = 300  # seconds


@pages.post("/<token>")
def receive(token: str) -> ResponseReturnValue:
    """Store any body and answer 202; nothing is verified or parsed, but for senders that insist on it."""
    source = _source(token)
    body = request.get_data()  # Flask keeps it: the view runs again if the transaction had to yield.
    packed = ingest.pack(source, dict(request.headers), body, proof_key=request_context.settings().secret_key)
    try:
        event_id = ingest.receive(source, packed, request_context.settings().secret_keys)
    except SourceFull as error:
        raise TooManyRequests(str(error), retry_after=FULL_RETRY_AFTER) from None
    except SourceGone:
        abort(404)
    return _handshake(source, packed, body) or ({"id": event_id, "status": "new"}, 202)


@pages.get("/<token>")
def greet(token: str) -> ResponseReturnValue:
    """Answer a sender that checks the URL first; Meta does so with a challenge."""
    _source(token)
    if "hub.mode" in request.args:
        challenge = event_reader.meta_challenge(request.args, token)
        if challenge is None:
            abort(403, "The hub.verify_token must be the last part of this address.")
        return Response(challenge, mimetype="text/plain")
    return Response("This address takes webhooks, by POST.\n", mimetype="text/plain")


def _source(token: str) -> Source:
    source = ingest.find(db.session(), token) if ids.URL_TOKEN.fullmatch(token) else None
    return source if source is not None else abort(404)


def _handshake(source: Source, packed: PackedRequest, body: bytes) -> ResponseReturnValue | None:
    """Return the answer that Slack, Zoom or Discord wants at once; those of the last two need a proof."""
    if source.verify == "slack" and (challenge := event_reader.slack_challenge(body)) is not None:
        return Response(challenge, mimetype="text/plain")
    scheme = source.signature_scheme
    header = scheme.header.lower() if scheme else ""
    is_discord = source.verify == ED25519 and header == event_reader.DISCORD_HEADER
    zoom = event_reader.zoom_challenge(body) if source.verify == "hmac" else None
    if not is_discord and zoom is None:
        return None
    if source.is_unreadable:
        abort(503, "The book cannot prove the sender now.")
    if not ingest.is_genuine(source, packed, request_context.settings().secret_keys):
        # Discord tries it out, and takes a URL away that does not answer 401.
        return ({"error": "The signature is not valid."}, 401) if is_discord else None
    if zoom is not None:
        return event_reader.zoom_answer(zoom, source.secret or "")
    return event_reader.discord_answer(body) or ("", 204)

"""The door for webhooks that others send us: stored at once, answered at once, judged later."""

import re

from flask import Blueprint, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import TooManyRequests

from guestbook.inbound import handshakes, ingest
from guestbook.inbound.ingest import Came, Door, Full
from guestbook.storage.database import db, writing
from guestbook.storage.models import Source
from guestbook.web import current

pages = Blueprint("receiver", __name__, url_prefix="/hooks")

TOKEN = re.compile("[0-9A-Za-z_-]{1,64}")
NOT_THE_TOKEN = "The hub.verify_token must be the last part of this address."
RETRY_AFTER = 300  # seconds that a sender who is too quick for us shall wait


@pages.post("/<token>")
def receive(token: str) -> ResponseReturnValue:
    """Store what came, whatever it is, and answer 202; nothing is verified or parsed."""
    door = _door(token)
    body = request.get_data()  # kept by Flask, for the view is run again when the transaction had to yield
    event_id = _store(door, body)
    if door.verify == "slack" and (challenge := handshakes.slack_challenge(body)) is not None:
        return _plain(challenge)
    return jsonify(id=event_id, status="new"), 202


@pages.get("/<token>")
def greet(token: str) -> ResponseReturnValue:
    """Answer who wants to see, before anything is sent, that somebody is here; Meta asks with a challenge."""
    _door(token)
    if "hub.mode" in request.args:
        challenge = handshakes.meta_challenge(request.args, token)
        return _plain(challenge) if challenge is not None else abort(403, NOT_THE_TOKEN)
    return _plain("This address takes webhooks, by POST.\n")


def _door(token: str) -> Door:
    door = ingest.find(db.session(), token) if TOKEN.fullmatch(token) else None
    return door if door is not None else abort(404)


def _store(door: Door, body: bytes) -> str:
    """Store it. Only where there is no room is it asked who sends, for the genuine sender has a reserve."""
    key = current.settings().secret_key
    came = ingest.pack(door, dict(request.headers), body, proof_key=key)
    try:
        return _insert(door, came)
    except Full:
        ingest.make_room(db.session(), door, came)
    source = db.session().get(Source, door.source_id) or abort(404)
    try:
        return _insert(door, came, is_genuine=ingest.is_genuine(source, came, key))
    except Full as error:
        raise TooManyRequests(str(error), retry_after=RETRY_AFTER) from None


def _insert(door: Door, came: Came, *, is_genuine: bool = False) -> str:
    try:
        with writing() as session:
            return ingest.store(session.connection(), door, came, is_genuine=is_genuine)
    except IntegrityError:  # the owner has deleted the source in this very moment
        abort(404)


def _plain(words: str) -> Response:
    return Response(words, content_type="text/plain; charset=utf-8")

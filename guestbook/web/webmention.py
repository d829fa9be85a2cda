"""The Webmention endpoint (W3C): stored and answered at once; the pass reads the page later."""

import math
from collections.abc import Mapping
from datetime import timedelta

from flask import Blueprint, abort, make_response, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import TooManyRequests

from guestbook.auth.rate_limit import NetworkLimit
from guestbook.inbound import webmention_pages, webmentions
from guestbook.inbound.ingest import SourceFull
from guestbook.inbound.webmentions import MentionRequest
from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused, Translatable
from guestbook.lib.text import clean_line
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, InboundEvent, Source
from guestbook.web import request_context
from guestbook.web.error_pages import NOTHING_STORED
from guestbook.web.translation_and_template_filters import translated

pages = Blueprint("webmention", __name__, url_prefix="/webmention")

MOST_MENTIONS = 60  # webmentions of one network
MENTION_WINDOW = timedelta(minutes=10)
NO_ROOM_RETRY_AFTER = 300  # seconds
NOT_ACCEPTED = Translatable("This book accepts no webmentions at the moment. Nothing was stored.")
TOO_MANY = Translatable("Your network has sent many webmentions in a short time. Please try again later.")
MANY_MENTIONS_WAIT = Translatable(
    "Many webmentions wait for this book at the moment. Please try again later."
)

MENTION_WAITS = Translatable("It waits. The book will read the page soon.")
MENTION_RETRIES = Translatable("The page could not be read. The book will try again later.")
MENTION_HELD = Translatable("The page was read. The owner looks at its comment before it appears.")
MENTION_SHOWN = Translatable("The page was read, and has a comment in the book.")
MENTION_NOT_SHOWN = Translatable("The page was read. It has no comment in the book now.")


@pages.get("")
def form() -> ResponseReturnValue:
    """Show a form, for people whose site sends no webmentions by itself."""
    _require_open()
    return _form(request.args, {})


@pages.post("")
def receive() -> ResponseReturnValue:
    """Store the two addresses and answer 202; the page is read later."""
    _require_open()
    base_url = request_context.settings().base_url
    try:
        mention = webmentions.checked(request.form, base_url)
    except Refused as error:
        return _form(request.form, error.fields), 400
    event_id = _store(mention)
    status_url = f"{base_url}/webmention/{event_id}"
    page = render_template("webmention.html", mention=mention, words=MENTION_WAITS, status_url=status_url)
    response = make_response(page, 202)
    response.headers["Location"] = status_url
    response.autocorrect_location_header = False
    return response


@pages.get("/<event_id>")
def status(event_id: str) -> ResponseReturnValue:
    """Say what became of a webmention, without what only the owner may know."""
    event = webmentions.find(db.session(), event_id) if ids.ID.fullmatch(event_id) else None
    if event is None:
        abort(404)
    found = db.session().get(Comment, event.comment_id) if event.comment_id else None
    comment = found if found and found.status == "published" else None
    return render_template("webmention.html", words=_words(event, found), comment=comment)


def _words(event: InboundEvent, comment: Comment | None) -> str:
    """Spam looks like a held comment, so that a program learns nothing."""
    if event.status == "new":
        return MENTION_RETRIES if event.error else MENTION_WAITS
    if event.status == "failed":
        sentence, detail = webmention_pages.for_sender(event.error or "")
        return f"{translated(sentence)}{detail} {translated(NOTHING_STORED)}"
    if comment is None or comment.status == "trash":
        return MENTION_NOT_SHOWN
    return MENTION_SHOWN if comment.status == "published" else MENTION_HELD


def _require_open() -> None:
    if not request_context.preferences().accepts_mentions:
        abort(404, NOT_ACCEPTED)


def _store(mention: MentionRequest) -> str:
    session = db.session()
    receiver = webmentions.source(session)
    try:
        return _insert(receiver, mention)
    except IntegrityError:  # The same webmention came twice at once.
        return _insert(receiver, mention)
    except SourceFull:
        webmentions.make_room(session, receiver, mention)
    try:
        return _insert(receiver, mention)
    except SourceFull:
        raise TooManyRequests(MANY_MENTIONS_WAIT, retry_after=NO_ROOM_RETRY_AFTER) from None


def _insert(receiver: Source, mention: MentionRequest) -> str:
    with writing() as session:
        key, address = request_context.settings().secret_key, request.remote_addr or ""
        limit = NetworkLimit(key, "webmention", address, MOST_MENTIONS, MENTION_WINDOW)
        if wait := limit.take(session.connection(), clock.now()):
            raise TooManyRequests(TOO_MANY, retry_after=math.ceil(wait))
        return webmentions.store(session, receiver, mention)


def _form(values: Mapping[str, str], reasons: Mapping[str, str]) -> str:
    shown = {name: clean_line(values.get(name, "")) for name in ("source", "target")}
    return render_template("webmention_form.html", values=shown, reasons=reasons)

"""Webmentions that others send us (W3C): a page tells that it links to the book.

First the request, with the checks that cost nothing; then how it is stored, as an inbound event of a source
that the book adds by itself. The pass reads the page (`webmention_pages`) and writes its comment.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlencode, urlsplit

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from guestbook.inbound import ingest
from guestbook.lib import clock, ids, parse_html
from guestbook.lib.body_encoding import URLENCODED
from guestbook.lib.errors import Refused, Translatable
from guestbook.queue import claims
from guestbook.storage import database
from guestbook.storage.models import INBOUND, InboundEvent, Source
from guestbook.storage.models.source import MENTIONS, MENTIONS_TOKEN

SOURCE_URL_LIMIT = 500  # characters, as in schema.sql: origins.url
TARGET_URL_LIMIT = 2000  # characters
NOT_IN_AN_ADDRESS = re.compile(r"[\x00-\x20\x7f-\xa0\\\s\ud800-\udfff]")
COMMENT_PATH = re.compile(r"/comments/[0-9a-f]{32}")


class MentionRequest(NamedTuple):
    """A page, and the page of the book that it says it links to."""

    source: str
    target: str

    @property
    def body(self) -> bytes:
        """Return the form that is stored."""
        return urlencode(self._asdict()).encode()

    @property
    def key(self) -> str:
        """Return what is the same for the same two addresses."""
        return ids.of_secret(f"{self.source}\n{self.target}")

    @property
    def host(self) -> str:
        """Return the host of the page, as readers see it after “via”."""
        return host_of(self.source)


def checked(form: Mapping[str, Any], base_url: str) -> MentionRequest:
    """Return the request that a form holds; raises Refused with a sentence for each wrong field."""
    source, target = (str(form.get(name) or "").strip() for name in ("source", "target"))
    reasons = {
        "source": _fault(source, Translatable("source"), SOURCE_URL_LIMIT),
        "target": _fault(target, Translatable("target"), TARGET_URL_LIMIT),
    }
    if wrong := {field: reason for field, reason in reasons.items() if reason}:
        raise Refused.of(wrong)
    if parse_html.normal_address(source) == parse_html.normal_address(target):
        raise Refused(Translatable("The source and the target must be different pages."), field="source")
    if not is_page_of(target, base_url):
        raise Refused(Translatable("The target is not a page of this book."), field="target")
    if _path_below(source, base_url) is not None:
        raise Refused(Translatable("The source is a page of this book itself."), field="source")
    return MentionRequest(source, target)


def host_of(url: str) -> str:
    """Return the host of an address, in small letters; "" if it has none."""
    parts = _split(url)
    return parts.hostname or "" if parts else ""


def is_page_of(url: str, base_url: str) -> bool:
    """Whether a URL is that of the book or of a comment; http and https are the same here."""
    path = _path_below(url, base_url)
    return path is not None and (path in ("", "/") or COMMENT_PATH.fullmatch(path) is not None)


def _fault(url: str, name: str, limit: int) -> str | None:
    """Return what is wrong with an address by itself."""
    if not url:
        return Translatable("The %(name)s is missing.", name=name)
    if len(url) > limit:
        return Translatable("The %(name)s is longer than %(limit)s characters.", name=name, limit=limit)
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return Translatable(
            "The %(name)s must be an address that begins with https:// or http://.", name=name
        )
    if NOT_IN_AN_ADDRESS.search(url) or "@" in parts.netloc:
        return Translatable("The %(name)s must not contain spaces, backslashes, or a user name.", name=name)
    return None


def _path_below(url: str, base_url: str) -> str | None:
    """Return the path of a page of this book's site, as seen from the book; None on other sites."""
    theirs, ours = (urlsplit(parse_html.normal_address(one)) for one in (url, base_url))
    below = ours.path.rstrip("/")
    is_below = theirs.netloc == ours.netloc and f"{theirs.path}/".startswith(f"{below}/")
    return theirs.path.removeprefix(below) if is_below else None


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # reading it checks it
    except ValueError:
        return None
    return parts


def source(session: Session) -> Source:
    """Return the source of all webmentions. The first webmention adds it."""
    if found := ingest.find(session, MENTIONS_TOKEN):
        return found
    now = clock.now()
    try:
        with database.writing(session):
            row = Source(
                id=ids.new(), name="Webmention", token=MENTIONS_TOKEN, verify="none", action=MENTIONS
            )
            row.created_at = row.relayed_since = now  # the owner's webhooks get the events of these comments
            session.add(row)
    except IntegrityError:  # another process was a moment quicker
        database.end(session)
    return ingest.find(session, MENTIONS_TOKEN) or source(session)


def store(session: Session, receiver: Source, request: MentionRequest) -> str:
    """Store a request and return its id, in the caller's transaction; raises SourceFull.

    One that still waits is not stored again: it is due now, and reads the page as it is then.
    """
    mine: Any = (InboundEvent.source_id == receiver.id) & (InboundEvent.external_id == request.key)
    before = session.execute(select(InboundEvent.id, InboundEvent.status).where(mine)).one_or_none()
    if before and before.status == "new":
        connection, now = session.connection(), clock.now()
        waiting = (InboundEvent.id == before.id) & InboundEvent.claimed_by.is_(None)
        claims.make_due(connection, INBOUND, waiting & (InboundEvent.due_at > now), now)
        return str(before.id)
    if before:  # the new event gets the external id
        session.execute(update(InboundEvent).where(mine).values(external_id=None))
    packed = ingest.pack(receiver, {"Content-Type": URLENCODED}, request.body, proof_key="")
    return ingest.store(session.connection(), receiver, packed, external_id=request.key)


def make_room(session: Session, receiver: Source, request: MentionRequest) -> None:
    """Drop the oldest finished ones, in a transaction of its own."""
    ingest.make_room(session, receiver, ingest.pack(receiver, {}, request.body, proof_key=""))


def find(session: Session, event_id: str) -> InboundEvent | None:
    """Return a stored webmention, and nothing that another source has sent."""
    query = select(InboundEvent).join(Source).where(InboundEvent.id == event_id, Source.action == MENTIONS)
    return session.scalars(query).one_or_none()

"""Store a webmention that arrives: an inbound event of a source that the book adds by itself."""

from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from guestbook.inbound import ingest
from guestbook.inbound.ingest import ReceivingSource
from guestbook.inbound.mentions.mention_request import FORM, MentionRequest
from guestbook.lib import clock, ids
from guestbook.queue import claims
from guestbook.storage import database
from guestbook.storage.models import INBOUND, InboundEvent, Source
from guestbook.storage.models.source import MENTIONS, MENTIONS_TOKEN

SOURCE_NAME = "Webmention"


def source(session: Session) -> ReceivingSource:
    """Return the source of all webmentions. The first webmention adds it."""
    if found := ingest.find(session, MENTIONS_TOKEN):
        return found
    now = clock.now()
    try:
        with database.writing(session):
            row = Source(id=ids.new(), name=SOURCE_NAME, token=MENTIONS_TOKEN, verify="none", action=MENTIONS)
            row.created_at = row.relayed_since = now  # the owner's webhooks get the events of these comments
            session.add(row)
    except IntegrityError:  # another process was a moment quicker
        database.end(session)
    return ingest.find(session, MENTIONS_TOKEN) or source(session)


def store(session: Session, receiver: ReceivingSource, request: MentionRequest) -> str:
    """Store it and return its id, in the caller's transaction; raises SourceFull.

    One that still waits is not stored again: it is due now, and reads the page as it is then.
    """
    before = _earlier(session, receiver.source_id, request.key)
    if before and before.status == "new":
        connection, now = session.connection(), clock.now()
        waiting = (InboundEvent.id == before.id) & InboundEvent.claimed_by.is_(None)
        claims.make_due(connection, INBOUND, waiting & (InboundEvent.due_at > now), now)
        return str(before.id)
    if before:
        has_it = update(InboundEvent).where(InboundEvent.id == before.id)
        session.execute(has_it.values(external_id=None))  # the new one has it now
    packed = ingest.pack(receiver, {"Content-Type": FORM}, request.body, proof_key="")
    return ingest.store(session.connection(), receiver, packed, external_id=request.key)


def make_room(session: Session, receiver: ReceivingSource, request: MentionRequest) -> None:
    """Drop the oldest finished ones, in a transaction of its own."""
    ingest.make_room(session, receiver, ingest.pack(receiver, {}, request.body, proof_key=""))


def find(session: Session, event_id: str) -> InboundEvent | None:
    """Return a stored webmention, and nothing that another source has sent."""
    query = select(InboundEvent).join(Source).where(InboundEvent.id == event_id, Source.action == MENTIONS)
    return session.scalars(query).one_or_none()


def _earlier(session: Session, source_id: str, key: str) -> Row[Any] | None:
    same: Any = select(InboundEvent.id, InboundEvent.status).where(
        InboundEvent.source_id == source_id, InboundEvent.external_id == key
    )
    return session.execute(same).one_or_none()

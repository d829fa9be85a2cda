"""Store a webhook that arrives: its bytes and the headers that matter, and nothing else.

The pass verifies and parses it later: the sender does not have to wait, and a wrong setting loses nothing.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, exists, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from guestbook.lib import body_encoding, clock, ids, verification
from guestbook.lib.errors import Refused
from guestbook.lib.verification.kinds import URL
from guestbook.storage import database, disk_budget_of_source
from guestbook.storage.database import db, writing
from guestbook.storage.models import INBOUND, Source

MOST_WAITING = 10_000  # unprocessed events of one source
GENUINE_RESERVE = 2  # times as much may wait for a genuine sender, so strangers cannot keep it out
KEPT_VALUE_LIMIT = 8000  # characters of a header
KEPT_HEADERS_LIMIT = 30_000  # bytes of them all, as JSON: MariaDB's TEXT ends at 64 KiB

KEPT_HEADERS = frozenset(("content-type", "content-encoding", "user-agent", "idempotency-key"))
KEPT_PREFIXES = ("webhook-", "svix-", "stripe-", "linear-", "twitch-", "i-twilio-", "ce-", "x-")
# So that the signature is there when the owner corrects the name of its header, and reprocesses.
KEPT_PARTS = ("signature", "hmac", "timestamp")
# Proxies add these: they describe the visitor's network, not the event.
DROPPED_PREFIXES = ("x-forwarded-", "x-real-", "x-client-", "x-original-", "x-envoy-", "x-amzn-trace")
# These hold the secret itself, so only its proof is kept.
TOKEN_HEADERS = frozenset(("x-gitlab-token", "x-api-key", "x-auth-token", "x-webhook-token"))


class SourceFull(Refused):
    """The source has too many unprocessed events, or its unproven events take too much space."""


class SourceGone(Refused):
    """The owner has just deleted the source."""

    def __init__(self) -> None:
        super().__init__("The source has just been deleted.")


class PackedRequest(NamedTuple):
    """A request as it is stored."""

    headers: dict[str, str]
    payload: str
    encoding: str
    unproven_bytes: int  # what it takes of the source's budget


def find(session: Session, token: str) -> Source | None:
    """Return the source of a URL's token, as it was: a rollback does not read it again."""
    source = session.scalars(select(Source).where(Source.token == token)).one_or_none()
    if source is not None:
        session.expunge(source)
    return source


def pack(source: Source, headers: Mapping[str, str], body: bytes, *, proof_key: str) -> PackedRequest:
    """Return what to store of a request. `proof_key` hashes the secrets in its headers."""
    chosen = kept(headers, source, proof_key)
    payload, encoding = body_encoding.pack(body)
    return PackedRequest(
        chosen, payload, encoding, disk_budget_of_source.size_of(json.dumps(chosen), payload)
    )


def receive(source: Source, packed: PackedRequest, proof_keys: Sequence[str]) -> str:
    """Store one webhook in a transaction of its own, and return its id.

    Only if there is no room, verify it first: a genuine sender has a reserve. Raises SourceFull and
    SourceGone.
    """
    try:
        return _insert(source, packed)
    except SourceFull:
        make_room(db.session(), source, packed)
    if not db.session().scalar(select(exists().where(Source.id == source.id))):
        raise SourceGone
    return _insert(source, packed, is_genuine=is_genuine(source, packed, proof_keys))


def _insert(source: Source, packed: PackedRequest, *, is_genuine: bool = False) -> str:
    try:
        with writing() as session:
            return store(session.connection(), source, packed, is_genuine=is_genuine)
    except IntegrityError:
        raise SourceGone from None


def make_room(session: Session, source: Source, packed: PackedRequest) -> None:
    """Drop the oldest refused events, if there are any, in a transaction of its own."""
    if disk_budget_of_source.may_make_room(session.connection(), source.id):
        with writing(session):
            most = source.budget_mb * disk_budget_of_source.MEGABYTE
            disk_budget_of_source.make_room(session.connection(), source.id, packed.unproven_bytes, most)


def is_genuine(source: Source, packed: PackedRequest, proof_keys: Sequence[str]) -> bool:
    """Whether the source has signed it. Asked only when there is no room for strangers."""
    if source.verify == "none":
        return False
    body = body_encoding.unpack(packed.payload, packed.encoding)
    return source.verify_request(packed.headers, body, clock.now(), proof_keys).ok


def store(
    connection: Connection,
    source: Source,
    packed: PackedRequest,
    *,
    is_genuine: bool = False,
    external_id: str | None = None,
) -> str:
    """Store one webhook and return its id; the caller's transaction commits. Raises SourceFull.

    A genuine one may use the reserve.
    """
    reserve = GENUINE_RESERVE if is_genuine else 1
    # The same index as the claim's answers this.
    waiting = select(INBOUND.c.id).where(INBOUND.c.source_id == source.id, INBOUND.c.due_at.is_not(None))
    if connection.execute(waiting.offset(reserve * MOST_WAITING - 1).limit(1)).first():
        raise SourceFull(f"More than {MOST_WAITING:,} webhooks of this source wait to be processed.")
    most = reserve * source.budget_mb * disk_budget_of_source.MEGABYTE
    if not disk_budget_of_source.take(connection, source.id, packed.unproven_bytes, most):
        sentence = "The unverified webhooks of this source fill the {} MB that they may take."
        raise SourceFull(sentence.format(source.budget_mb))
    event_id, now = ids.new(), clock.now()
    row = {"id": event_id, "source_id": source.id, "external_id": external_id, "due_at": now}
    connection.execute(insert(INBOUND).values(row | {"received_at": now} | packed._asdict()))
    database.note_new_work(connection)
    return event_id


def kept(headers: Mapping[str, str], source: Source, proof_key: str) -> dict[str, str]:
    """Return the headers to be stored: names in lower case, secrets as proofs, within the limits."""
    scheme = source.signature_scheme
    signing = {name.lower() for name in scheme.headers} if scheme else set()
    signing |= {URL} if scheme and "{url}" in scheme.content else set()
    secret = {(source.header or "").lower()} - signing
    chosen: dict[str, str] = {}
    room = KEPT_HEADERS_LIMIT
    for name, value in ((name.lower(), value) for name, value in headers.items()):
        is_wanted = name in KEPT_HEADERS or name.startswith(KEPT_PREFIXES)
        is_wanted = is_wanted or any(part in name for part in KEPT_PARTS)
        is_ours = name in signing or name in secret
        if not is_ours and (not is_wanted or name.startswith(DROPPED_PREFIXES)):
            continue
        if name in secret or name in TOKEN_HEADERS - signing:
            value = verification.proof(value, proof_key)
        value = value[:KEPT_VALUE_LIMIT]
        room -= len(json.dumps([name, value]))
        if room < 0:
            break
        chosen[name] = value
    return chosen

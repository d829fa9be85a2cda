"""A webhook arrives: its bytes and the headers that matter are stored, and nothing else is done here.

Whether it is genuine, and what it says, is for the pass to find out: a sender that waits for us would time
out, and what we refused in a hurry would be lost.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.orm import Session

from guestbook.inbound import verification
from guestbook.lib import byte_text, clock, ids
from guestbook.lib.errors import Refused
from guestbook.storage import source_budget
from guestbook.storage.database import writing
from guestbook.storage.models import INBOUND, Source

MOST_WAITING = 10_000  # events of one source that nobody has worked through
RESERVE = 2  # times as much may wait when the latest is genuine: strangers shall not keep it out
VALUE_LIMIT = 8000  # characters of a header
HEADERS_LIMIT = 30_000  # bytes of them all, as JSON: MariaDB's TEXT ends at 64 KiB

KEPT = frozenset(("content-type", "content-encoding", "user-agent", "idempotency-key"))
KEPT_PREFIXES = ("webhook-", "svix-", "stripe-", "ce-", "x-")
# What proxies add tells of the visitor's network and not of the event.
DROPPED_PREFIXES = ("x-forwarded-", "x-real-", "x-client-", "x-original-", "x-envoy-", "x-amzn-trace")
# These are the secret itself, so only what proves that they were right is kept.
PROVEN = frozenset(("x-gitlab-token", "x-api-key", "x-auth-token", "x-webhook-token"))


class Full(Refused):
    """The source has sent more than we have worked through, or than its unproven events may take."""


@dataclass(frozen=True, slots=True)
class Door:
    """What the door has to know of a source."""

    source_id: str
    verify: str
    header: str | None  # which header brings the secret
    budget_mb: int


@dataclass(frozen=True, slots=True)
class Came:
    """What came, as it is stored."""

    headers: dict[str, str]
    payload: str
    encoding: str
    size: int  # bytes of the source's budget


def find(session: Session, token: str) -> Door | None:
    """Return the door behind the token of a URL."""
    columns = Source.id, Source.verify, Source.header, Source.budget_mb
    query = select(*columns).where(Source.token == token)
    row = session.execute(query).one_or_none()
    return Door(*row) if row else None


def pack(door: Door, headers: Mapping[str, str], body: bytes, *, proof_key: str) -> Came:
    """Return what is to be stored of a request.

    `headers` have names in any case; `proof_key` is the key under which secrets in headers are hashed.
    """
    chosen = kept(headers, door.header, proof_key)
    payload, encoding = byte_text.pack(body)
    return Came(chosen, payload, encoding, source_budget.size_of(json.dumps(chosen), payload))


def make_room(session: Session, door: Door, came: Came) -> None:
    """Drop the oldest of what was refused, if there is any, in a transaction of its own."""
    if source_budget.may_make_room(session.connection(), door.source_id):
        with writing(session):
            most = door.budget_mb * source_budget.MEGABYTE
            source_budget.make_room(session.connection(), door.source_id, came.size, most)


def is_genuine(source: Source, came: Came, proof_key: str) -> bool:
    """Whether the source has signed it. The door asks only when there is no room for strangers any more."""
    if source.verify == "none":
        return False
    now, body = clock.now(), byte_text.unpack(came.payload, came.encoding)
    secrets = source.secrets_at(now)
    verdict = verification.verify(
        source.verify, secrets, came.headers, body, now, header=source.header, proof_key=proof_key
    )
    return verdict.ok


def store(connection: Connection, door: Door, came: Came, *, is_genuine: bool = False) -> str:
    """Store one webhook and return its id; the caller's transaction commits. Raises Full.

    One that `is_genuine` may use the reserve.
    """
    reserve = RESERVE if is_genuine else 1
    if _is_full(connection, door.source_id, reserve * MOST_WAITING):
        raise Full(f"More than {MOST_WAITING:,} webhooks of this source wait to be worked through.")
    most = reserve * door.budget_mb * source_budget.MEGABYTE
    if not source_budget.take(connection, door.source_id, came.size, most):
        raise Full(f"The unproven webhooks of this source fill the {door.budget_mb} MB that they may take.")
    now, event_id = clock.now(), ids.new()
    connection.execute(
        insert(INBOUND).values(
            id=event_id,
            source_id=door.source_id,
            headers=came.headers,
            payload=came.payload,
            encoding=came.encoding,
            unproven_bytes=came.size,
            status="new",
            attempts=0,
            claims=0,
            due_at=now,
            received_at=now,
        )
    )
    return event_id


def kept(headers: Mapping[str, str], secret_header: str | None, proof_key: str) -> dict[str, str]:
    """Return the headers to be stored: names in lower case, secrets as proofs, within the limits."""
    secret = (secret_header or "").lower()
    chosen: dict[str, str] = {}
    room = HEADERS_LIMIT
    for name, value in ((name.lower(), value) for name, value in headers.items()):
        if name != secret and not _is_kept(name):
            continue
        if name == secret or name in PROVEN:
            value = verification.proof(value, proof_key)
        value = value[:VALUE_LIMIT]
        room -= len(json.dumps([name, value]))
        if room < 0:
            break
        chosen[name] = value
    return chosen


def _is_kept(name: str) -> bool:
    return name in KEPT or (name.startswith(KEPT_PREFIXES) and not name.startswith(DROPPED_PREFIXES))


def _is_full(connection: Connection, source_id: str, most: int) -> bool:
    """Whether so many wait; one look along the index that the claim uses too."""
    waiting = select(INBOUND.c.id).where(INBOUND.c.source_id == source_id, INBOUND.c.due_at.is_not(None))
    last: Row[tuple[str]] | None = connection.execute(waiting.offset(most - 1).limit(1)).first()
    return last is not None

"""A webhook arrives: its bytes and the headers that matter are stored, and nothing else is done here.

Whether it is genuine, and what it says, is for the pass to find out: a sender that waits for us would time
out, and what we refused in a hurry would be lost.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.orm import Session

from guestbook import clock, ids, raw
from guestbook.inbox import signatures
from guestbook.models import INBOUND, Source
from guestbook.refusal import Refused

MOST_WAITING = 10_000  # events of one source that nobody has worked through
VALUE_LIMIT = 8000  # characters of a header
HEADERS_LIMIT = 30_000  # bytes of them all, as JSON: MariaDB's TEXT ends at 64 KiB

KEPT = frozenset(("content-type", "content-encoding", "user-agent", "idempotency-key"))
KEPT_PREFIXES = ("webhook-", "svix-", "stripe-", "ce-", "x-")
# What proxies add tells of the visitor's network and not of the event.
DROPPED_PREFIXES = ("x-forwarded-", "x-real-", "x-client-", "x-original-", "x-envoy-", "x-amzn-trace")
# These are the secret itself, so only what proves that they were right is kept.
PROVEN = frozenset(("x-gitlab-token", "x-api-key", "x-auth-token", "x-webhook-token"))


class Full(Refused):
    """The source has sent more than we have worked through."""


@dataclass(frozen=True, slots=True)
class Door:
    """What the door has to know of a source."""

    source_id: str
    verify: str
    header: str | None  # which header brings the secret


def find(session: Session, token: str) -> Door | None:
    """Return the door behind the token of a URL."""
    query = select(Source.id, Source.verify, Source.header).where(Source.token == token)
    row = session.execute(query).one_or_none()
    return Door(*row) if row else None


def store(
    connection: Connection, door: Door, headers: Mapping[str, str], body: bytes, *, proof_key: str
) -> str:
    """Store one webhook and return its id; the caller's transaction commits. Raises Full.

    `headers` have names in any case; `proof_key` is the key under which secrets in headers are hashed.
    """
    if _is_full(connection, door.source_id):
        raise Full(f"More than {MOST_WAITING:,} webhooks of this source wait to be worked through.")
    now, event_id = clock.now(), ids.new()
    payload, encoding = raw.pack(body)
    connection.execute(
        insert(INBOUND).values(
            id=event_id,
            source_id=door.source_id,
            headers=kept(headers, door.header, proof_key),
            payload=payload,
            encoding=encoding,
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
            value = signatures.proof(value, proof_key)
        value = value[:VALUE_LIMIT]
        room -= len(json.dumps([name, value]))
        if room < 0:
            break
        chosen[name] = value
    return chosen


def _is_kept(name: str) -> bool:
    return name in KEPT or (name.startswith(KEPT_PREFIXES) and not name.startswith(DROPPED_PREFIXES))


def _is_full(connection: Connection, source_id: str) -> bool:
    """Whether so many wait; one look along the index that the claim uses too."""
    waiting = select(INBOUND.c.id).where(INBOUND.c.source_id == source_id, INBOUND.c.due_at.is_not(None))
    last: Row[tuple[str]] | None = connection.execute(waiting.offset(MOST_WAITING - 1).limit(1)).first()
    return last is not None

"""Write the audit log. An entry is stored in the transaction of what it is about: both or neither.

It has names and ids, and never a secret, an address or the words of a comment. Pages, calls of the API and
commands say at their beginning who acts.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from flask import g, has_app_context
from sqlalchemy import Connection, insert, inspect, select, update
from sqlalchemy.orm import InstanceState, Session

from guestbook.lib import clock, ids
from guestbook.storage.database import Base
from guestbook.storage.models import AUDIT_LOG, Bin, ReceiverLink, Source, Token, Webhook
from guestbook.storage.models.owner import DETAIL_LIMIT

FAILURES_TOGETHER = timedelta(minutes=1)  # failures within it share an entry: a flood fills no disk
NAME_OF_ACTOR_LIMIT = 200  # characters, as in schema.sql
# Columns that change with a setting or by themselves.
NOT_SETTINGS = {
    *("failing_announced_at", "failing_since", "failures_in_a_row", "paused_until", "unreachable_in_a_row"),
    *("unreadable_until", "moved_at", "next_slot_at", "rate_log"),
    *("previous_secret", "previous_secret_expires_at", "previous_signing_key"),
    "previous_signing_key_expires_at",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who acts: a logged-in browser, a token, a command, a receiver or nobody that we know.

    A comment also knows the other ones of DECIDERS.
    """

    kind: str  # one of ACTORS or DECIDERS
    id: str | None = None
    name: str | None = None


NamedRow = Webhook | Source | Bin | Token | ReceiverLink
NOBODY = Actor("nobody")


def act_as(actor: Actor) -> None:
    """Note who acts from now on in this request or command."""
    g.actor = actor


def record(
    where: Session | Connection,
    action: str,
    noun: str,
    row_id: str | None = None,
    name: str | None = None,
    *,
    detail: str | None = None,
    number: int = 1,
    actor: Actor | None = None,
) -> None:
    """Add an entry in the caller's transaction, which writes."""
    by = actor or acting()
    entry = {
        "id": ids.new(),
        "at": clock.now(),
        "actor": by.kind,
        "actor_id": by.id,
        "actor_name": by.name and by.name[:NAME_OF_ACTOR_LIMIT],
        "action": action,
        "object": noun,
        "object_id": row_id,
        "object_name": name,
        "detail": detail and detail[:DETAIL_LIMIT],
        "number": number,
    }
    where.execute(insert(AUDIT_LOG).values(entry))


def record_row(session: Session, action: str, row: NamedRow, detail: str | None = None) -> None:
    """Add an entry about a row with a name."""
    record(session, action, noun_of(type(row)), row.id, row.name, detail=detail)


def record_changes(session: Session, row: Webhook | Source | Bin, also: Iterable[str] = ()) -> None:
    """Add an entry with the names of the row's changed fields, if any; call it before they are flushed."""
    state: InstanceState[Base] = inspect(row)
    changed = [one.key for one in state.attrs if one.history.has_changes()]
    names = [name for name in (*changed, *also) if name not in NOT_SETTINGS]
    if isinstance(row, Webhook) and "url" in names and (host := urlsplit(row.url).hostname):
        names[names.index("url")] = f"url (now at {host})"  # the rest may be a secret
    if names:
        record_row(session, "changed", row, ", ".join(names))


def record_failure(session: Session, noun: str) -> None:
    """Count a wrong password or code. The caller's lock keeps others from counting at the same time."""
    by, columns, now = acting(), AUDIT_LOG.c, clock.now()
    same = (columns.action == "failed") & (columns.object == noun) & (columns.actor == by.kind)
    today = columns.id >= ids.first_of(now - timedelta(days=1))  # no older row is looked at
    query = select(columns.id).where(same, today, columns.at > now - FAILURES_TOGETHER)
    latest = session.scalar(query.order_by(columns.id.desc()).limit(1))
    if latest is None:
        record(session, "failed", noun)
        return
    session.execute(update(AUDIT_LOG).where(columns.id == latest).values(number=columns.number + 1))


def noun_of(model: type[Base]) -> str:
    """Return the word for rows of a model: `inbound_event`."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", model.__name__).lower()


def acting() -> Actor:
    """Return who acts in this request or command."""
    actor: Actor = g.get("actor", NOBODY) if has_app_context() else NOBODY
    return actor

"""Manage sources, which send webhooks to us. Commands and buttons call these; wrong values are refused."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from guestbook.inbound import sender_presets, source_fields
from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused, only_here
from guestbook.storage import audit_log, batch_delete, row_changes
from guestbook.storage.models import INBOUND, Source
from guestbook.storage.models.source import BUDGET_MB, OLD_SECRET_VALID_FOR

# The check of any other field of a source looks at how the source verifies and what it does.
JUDGED_ALONE = {"name", "preset", "verify", "action", "budget_mb"}


def add(session: Session, fields: Mapping[str, Any], *, row_id: str | None = None) -> Source:
    """Add one from `name`, `verify` and, where given, the other fields of `update`.

    A secret is made here unless the sender makes it. `template` is a text or the name of a ready-made one.
    `preset` names a known sender; the other fields override its settings.
    """
    source = Source(id=row_id or ids.new(), token=ids.new_url_token(), created_at=clock.now())
    given = {"name": "", "verify": "", "action": "log", "budget_mb": BUDGET_MB, **fields}
    _set(source, given)
    row_changes.refuse_taken_name(session, source)
    session.add(source)
    session.flush()
    audit_log.record_row(session, "added", source)
    return source


def update(session: Session, source: Source, fields: Mapping[str, Any]) -> None:
    """Change the named fields, all or, when one is wrong, none.

    They are `name`, `verify`, `secret`, `header`, those of `scheme_fields`, `action`, `template`, `relayed`,
    `in_full`, `budget_mb`, and `preset`. A new secret of the same kind is taken as `rotate` does; a new
    `verify` ends the old secrets at once.
    """
    try:
        _set(source, fields)
    except Refused as error:
        error.only_here |= not JUDGED_ALONE.issuperset(error.fields)
        raise
    row_changes.refuse_taken_name(session, source)
    audit_log.record_changes(session, source)
    session.add(source)
    session.flush()


def rotate(
    session: Session,
    source: Source,
    now: datetime,
    secret: str | None = None,
    overlap: timedelta = OLD_SECRET_VALID_FOR,
) -> None:
    """Take a new secret, given or made here; the old one stays valid for a while."""
    if source.verify == "none":
        raise Refused("This source verifies nothing, so it has no secret.", field="secret", only_here=True)
    with only_here():
        fresh = source_fields.secret(source.verify, secret)
    if fresh == source.secret:
        raise Refused("The source already has this secret.", field="secret", only_here=True)
    source.rotate_secret(fresh, now, overlap)
    session.flush()
    audit_log.record_row(session, "rotated", source, "secret")


def delete(engine: Engine, source_id: str) -> int:
    """Delete a source with its events; return how many. Their comments and deliveries stay."""
    mine = INBOUND.c.source_id == source_id
    return batch_delete.delete_with_rows(engine, Source, source_id, INBOUND, mine)


def begin_delete(session: Session, source_id: str) -> bool:
    """Delete a source with its events, or the first 500 of them; return whether it is gone."""
    mine = INBOUND.c.source_id == source_id
    return batch_delete.delete_next(session.connection(), Source, source_id, INBOUND, mine)[1]


def _set(source: Source, fields: Mapping[str, Any]) -> None:
    filled = sender_presets.filled_in(source, fields)
    values = source_fields.checked(source, filled)
    now, secret = clock.now(), values.pop("secret")
    if values["verify"] != source.verify:
        source.secret, source.previous_secret, source.previous_secret_expires_at = secret, None, None
    elif secret != source.secret:
        source.rotate_secret(secret, now)
    for name, value in values.items():
        setattr(source, name, value)
    source.relayed_since = _since(source.relayed_since, filled.get("relayed"), now)
    source.forwarded_in_full_since = _since(source.forwarded_in_full_since, filled.get("in_full"), now)


def _since(before: datetime | None, is_wanted: bool | None, now: datetime) -> datetime | None:
    """Return the time since which something is wanted; None for `is_wanted` leaves it."""
    if is_wanted is None:
        return before
    return before or now if is_wanted else None

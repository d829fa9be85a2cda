"""Tokens: keys to the API for programs. The table has their hashes alone."""

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from guestbook.lib import ids, json_schema as schema, validate
from guestbook.lib.json_schema import Schema
from guestbook.storage import audit_log, row_changes
from guestbook.storage.models import Token
from guestbook.storage.models.owner import SCOPES

API_TOKEN_PREFIX = "gbk_"  # a token that leaked into a repository is recognized by it
TOKEN_SCHEMA: Schema = {
    "id": schema.ID,
    "name": schema.TEXT,
    "scope": schema.one_of(*SCOPES),
    "created_at": schema.TIME,
    "expires_at": schema.or_null(schema.TIME),
    "last_used_at": schema.time_or_null("Its last use, to the hour."),
}


def shape(token: Token) -> dict[str, Any]:
    """Return a token as JSON, without its value."""
    return schema.of_row(token, TOKEN_SCHEMA)


def add(
    session: Session,
    name: str,
    *,
    scope: str = "manage",
    expires: str | None = None,  # such as `90d`, or a date
    token_id: str | None = None,
) -> tuple[Token, str]:
    """Add one and return it with its value, which is shown only once; raises Refused.

    A form brings the id, so that sending it twice makes no second token but an IntegrityError.
    """
    name, expires_at = check(name, scope, expires)
    value = API_TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = Token(
        id=token_id or ids.new(), name=name, hash=ids.of_secret(value), scope=scope, expires_at=expires_at
    )
    row_changes.add(session, token, f"scope {scope}")
    return token, value


def check(name: str, scope: str, expires: str | None) -> tuple[str, datetime | None]:
    """Return the name and the end of a token as they are kept; raises Refused."""
    name = validate.name(name)
    validate.one_of(SCOPES, scope, field="scope", noun="scope")
    return name, validate.end(expires, "token") if expires else None


def find(session: Session, value: str) -> Token | None:
    """Return the token with that value, also one that has expired."""
    return session.scalars(select(Token).where(Token.hash == ids.of_secret(value))).one_or_none()


def all_of(session: Session) -> list[Token]:
    """Return all tokens, the oldest first."""
    return list(session.scalars(select(Token).order_by(Token.id)))


def count(session: Session, now: datetime) -> int:
    """Return how many open the API now."""
    lasting = Token.expires_at.is_(None) | (Token.expires_at > now)
    return session.scalar(select(func.count()).select_from(Token).where(lasting)) or 0


def revoke(session: Session, token: Token) -> None:
    """Remove a token, which opens nothing from now on."""
    audit_log.record_row(session, "deleted", token)
    session.delete(token)
    session.flush()


def revoke_all(session: Session) -> int:
    """Remove all tokens, and return how many there were."""
    found = all_of(session)
    for token in found:
        revoke(session, token)
    return len(found)

"""Tokens: keys to the API for programs. The table has their hashes alone."""

import hashlib
import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook import ids, text
from guestbook.models import Token
from guestbook.refusal import Refused

PREFIX = "gbk_"  # so that a token that leaked into a repository is recognized
NAME_LIMIT = 80  # characters, as in schema.sql


def add(session: Session, name: str, *, token_id: str | None = None) -> tuple[Token, str]:
    """Add one and return it with its value, which nobody can read again; raises Refused for a bad name.

    A form brings the id, so that sending it twice makes no second token but an IntegrityError.
    """
    name = text.clean_line(name)
    if not name or len(name) > NAME_LIMIT:
        raise Refused(f"The name must have 1 to {NAME_LIMIT} characters.", field="name")
    value = PREFIX + secrets.token_urlsafe(32)
    token = Token(id=token_id or ids.new(), name=name, hash=_digest(value))
    session.add(token)
    session.flush()
    return token, value


def find(session: Session, value: str) -> Token | None:
    """Return the token with that value."""
    return session.scalars(select(Token).where(Token.hash == _digest(value))).one_or_none()


def all_of(session: Session) -> list[Token]:
    """Return all tokens, the oldest first."""
    return list(session.scalars(select(Token).order_by(Token.id)))


def revoke(session: Session, token: Token) -> None:
    """Remove it: what it opened is closed from now on."""
    session.delete(token)
    session.flush()


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode(errors="replace")).hexdigest()

"""Rows about the book itself: logins, tokens, limits, repeats, settings, passes, days, the audit log."""

from datetime import datetime

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from guestbook.lib import clock, ids, json_schema as schema
from guestbook.lib.json_schema import Schema
from guestbook.storage.column_types import LONG_TEXT
from guestbook.storage.database import Base


class Login(Base):
    """A browser that is logged in."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    browser: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


SCOPES = ("read", "moderate", "manage")  # each may do what the one before may


class Token(Base):
    """A program's key to the API."""

    __tablename__ = "tokens"
    __table_args__ = (UniqueConstraint("hash", name="tokens_hash"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    name: Mapped[str] = mapped_column(String(80))
    hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    scope: Mapped[str] = mapped_column(String(10), default="manage", server_default="manage")
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]

    def may(self, scope: str) -> bool:
        """Whether its scope has that one in it."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)

    def has_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


class Limit(Base):
    """A count for one rate limit, such as the wrong passwords from one network."""

    __tablename__ = "limits"

    who: Mapped[str] = mapped_column(String(64), primary_key=True)
    hits: Mapped[int]
    since: Mapped[datetime]
    last_at: Mapped[datetime]


class IdempotencyKey(Base):
    """The first answer to a request with an Idempotency-Key, for its repeats."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("idempotency_keys_by_age", "created_at"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    request: Mapped[str] = mapped_column(String(64))
    answer: Mapped[str] = mapped_column(LONG_TEXT)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)


class Setting(Base):
    """One setting of the owner's on the admin pages."""

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class BookState(Base):
    """One thing that the book remembers by itself, such as the hash of the password or a counter."""

    __tablename__ = "book_state"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Pass(Base):
    """One run of the cron command."""

    __tablename__ = "passes"
    __table_args__ = (Index("passes_by_start", "started_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    host: Mapped[str] = mapped_column(String(100))
    processed: Mapped[int] = mapped_column(default=0)
    retried: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)


class Day(Base):
    """The outcomes of a past day's deliveries."""

    __tablename__ = "days"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)  # 2026-01-31, in UTC
    processed: Mapped[int]
    failed: Mapped[int]


# A receiver acts by its link; nobody is a stranger, or the program itself.
ACTORS = ("admin", "token", "command", "receiver", "nobody")
AUDITED_ACTIONS = (
    *("logged_in", "logged_out", "failed"),
    *("added", "changed", "enabled", "disabled", "rotated", "revealed", "revoked", "cleared", "deleted"),
    *("redelivered", "reprocessed", "backfilled", "ended", "replayed"),
)
DETAIL_LIMIT = 500  # characters
AUDIT_ENTRY_SCHEMA: Schema = {
    "id": schema.ID,
    "at": schema.TIME,
    "actor": schema.one_of(
        *ACTORS,
        description="The owner on the admin pages, an API token, a command, a receiver by its link, "
        "or nobody known.",
    ),
    "actor_id": schema.text_or_null("The id of the login, the token or the link."),
    "actor_name": schema.text_or_null("The browser, the name of the token or the link, or the command."),
    "action": schema.one_of(*AUDITED_ACTIONS),
    "object": schema.text("The kind of object, such as webhook, token or password."),
    "object_id": schema.or_null(schema.TEXT),
    "object_name": schema.text_or_null("Its name at that time."),
    "detail": schema.text_or_null("The names of the changed fields, and the like."),
    "number": schema.number("How many: rows, or wrong passwords within a minute."),
}


class AuditEntry(Base):
    """One thing that was done. It has names and ids, but no secret and no words of a comment."""

    __tablename__ = "audit_log"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    at: Mapped[datetime] = mapped_column(default=clock.now)
    actor: Mapped[str] = mapped_column(String(10))
    actor_id: Mapped[str | None] = mapped_column(String(64))
    actor_name: Mapped[str | None] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(20))
    object: Mapped[str] = mapped_column(String(20))
    object_id: Mapped[str | None] = mapped_column(String(64))
    object_name: Mapped[str | None] = mapped_column(String(80))
    detail: Mapped[str | None] = mapped_column(String(DETAIL_LIMIT))
    number: Mapped[int]

    @property
    def remark(self) -> str:
        """Return the detail, after how many it were if not one."""
        count = f"{self.number:,} times" if self.number != 1 else ""
        return ", ".join(filter(None, (count, self.detail)))


AUDIT_LOG = AuditEntry.__table__

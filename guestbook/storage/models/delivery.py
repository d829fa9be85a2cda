"""A webhook with its template, its receiver's links and visitors' addresses; its deliveries and attempts."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Index,
    ScalarSelect,
    String,
    Text,
    and_,
    false,
    func,
    select,
    text,
)
from sqlalchemy.orm import Mapped, column_property, mapped_column

from guestbook.lib import clock, ids, signatures
from guestbook.lib.encryption import Unreadable, readable
from guestbook.lib.rate_counters import LONGEST_ROOM_WAIT
from guestbook.lib.validate import PULL_URL
from guestbook.storage.column_types import LONG_TEXT, Encrypted, belongs_to, bind_secrets
from guestbook.storage.database import Base
from guestbook.storage.plain_sql import IS_NEXT_SQL

SIGN_WITH = ("secret", "key", "both")  # what signs its requests
# Purposes of the encryption.
HEADER_PURPOSE, SECRET_PURPOSE, KEY_PURPOSE = "webhook header", "webhook secret", "webhook key"
# Formats whose messages carry no signature, and how sentences name such a message.
UNSIGNED_FORMATS = {"email": "An e-mail", "webmention": "A webmention"}
DISABLED_REASONS = ("by_hand", "failing", "gone")
FIRST_VERSION = "2026-12-01"  # of payloads; older rows and older programs have it
LONGEST_SLOT_WAIT = timedelta(seconds=LONGEST_ROOM_WAIT)
OVERLAP = timedelta(hours=24)  # how long the old secret still signs after a rotation


def payload_version() -> Any:
    """Return the column for a version of payloads."""
    return mapped_column(String(10), default=FIRST_VERSION, server_default=FIRST_VERSION)


class Webhook(Base):
    """One receiver of events."""

    __tablename__ = "webhooks"
    __table_args__ = (
        CheckConstraint("(disabled_at IS NULL) = (disabled_reason IS NULL)", name="webhooks_disabled"),
        CheckConstraint(f"disabled_reason IN {DISABLED_REASONS}", name="webhooks_disabled_reason"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    name: Mapped[str] = mapped_column(String(80))
    url: Mapped[str] = mapped_column(String(2000))
    format: Mapped[str] = mapped_column(String(20), default="json")
    events: Mapped[str] = mapped_column(String(500))
    headers: Mapped[dict[str, str]] = mapped_column(Encrypted(HEADER_PURPOSE, values=True))
    secret: Mapped[str] = mapped_column(Encrypted(SECRET_PURPOSE))
    previous_secret: Mapped[str | None] = mapped_column(Encrypted(SECRET_PURPOSE))
    previous_secret_expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(String(10))
    paused_until: Mapped[datetime | None]
    failures_in_a_row: Mapped[int] = mapped_column(default=0)
    unreachable_in_a_row: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]
    rate: Mapped[str | None] = mapped_column(String(10))
    rate_log: Mapped[str | None] = mapped_column(Text)
    next_slot_at: Mapped[datetime | None]
    failing_announced_at: Mapped[datetime | None]
    moderation_links_since: Mapped[datetime | None]
    github_headers_since: Mapped[datetime | None]
    signing_key: Mapped[str | None] = mapped_column(Encrypted(KEY_PURPOSE))
    previous_signing_key: Mapped[str | None] = mapped_column(Encrypted(KEY_PURPOSE))
    previous_signing_key_expires_at: Mapped[datetime | None]
    key_only_since: Mapped[datetime | None]
    moved_at: Mapped[datetime | None]
    unreadable_until: Mapped[datetime | None]
    version: Mapped[str] = payload_version()
    event_condition: Mapped[str | None] = mapped_column(String(500))

    def __init__(self, **values: Any) -> None:
        super().__init__(**{"secret": signatures.new_secret(), **values})

    @property
    def sign_with(self) -> str:
        """Return what signs: `secret`, `key` or `both`."""
        if self.signing_key is None:
            return "secret"
        return "both" if self.key_only_since is None else "key"

    @property
    def public_key(self) -> str | None:
        """Return the `whpk_…` key with which receivers verify, if a key signs."""
        return _public_key(self.signing_key)

    @property
    def previous_public_key(self) -> str | None:
        """Return that of the key before the last rotation."""
        return _public_key(self.previous_signing_key)

    @classmethod
    def sends(cls) -> ColumnElement[bool]:
        """Return the condition for webhooks that passes send to: not disabled, and not pulled."""
        return cls.disabled_at.is_(None) & (cls.url != PULL_URL)

    @classmethod
    def open_at(cls, now: datetime) -> ColumnElement[bool]:
        """Return the condition for webhooks that may be sent to now: those that are not paused either."""
        return cls.sends() & (cls.paused_until.is_(None) | (cls.paused_until <= now))

    @classmethod
    def has_slot_at(cls, now: datetime) -> ColumnElement[bool]:
        """Return the condition for webhooks whose rate limit lets an attempt begin then, or that have none.

        A moment farther away than any wait is from before a clock jump.
        """
        latest = now + LONGEST_SLOT_WAIT
        return cls.next_slot_at.is_(None) | (cls.next_slot_at <= now) | (cls.next_slot_at > latest)

    @property
    def is_pulled(self) -> bool:
        """Whether its receiver fetches the deliveries."""
        return self.url == PULL_URL

    def is_paused(self, now: datetime) -> bool:
        """Whether its pause is not over yet."""
        return self.paused_until is not None and self.paused_until > now

    @property
    def was_paused_as_unreadable(self) -> bool:
        """Whether its last pause began because its secrets could not be decrypted."""
        return self.paused_until is not None and self.paused_until == self.unreadable_until

    def is_unreadable(self, now: datetime) -> bool:
        """Whether something that its requests need then cannot be decrypted, so that its deliveries wait."""
        needed = (*needed_secrets(self, now), *self.headers.values())
        return any(isinstance(one, Unreadable) for one in needed)

    def enable(self) -> None:
        """Let its deliveries go out again, with a clean record."""
        self.disabled_at = self.disabled_reason = self.paused_until = None
        self.forget_failures()

    def disable(self, now: datetime, reason: str = "by_hand") -> None:
        """Stop sending; the reason is `by_hand`, `failing` or `gone`. Its deliveries wait."""
        if self.disabled_at is None:
            self.disabled_at, self.disabled_reason = now, reason

    def move(self, url: str, format_name: str) -> None:
        """Send to another URL or in another format from now on.

        The receiver's page shows nothing from before. The old URL's failures are no reason to wait.
        """
        if (url, format_name) != (self.url, self.format):
            self.moved_at = clock.now()
        if url != self.url:
            self.paused_until = None
            self.forget_failures()
        self.url, self.format = url, format_name

    def send_moderation_links(self, wanted: bool) -> None:
        """Put links to moderate into its messages about held comments, or leave them out."""
        self.moderation_links_since = (self.moderation_links_since or clock.now()) if wanted else None

    def rotate_secret(self, now: datetime, overlap: timedelta = OVERLAP, secret: str | None = None) -> None:
        """Take a new secret, given or made here; the old one signs beside it until the overlap is over."""
        self.previous_secret, self.previous_secret_expires_at = readable(self.secret), now + overlap
        self.secret = secret or signatures.new_secret()

    def send_github_headers(self, wanted: bool) -> None:
        """Send GitHub's headers too, or leave them out."""
        self.github_headers_since = (self.github_headers_since or clock.now()) if wanted else None

    def use_for_signing(self, chosen: str) -> None:
        """Sign with the `secret`, the `key` or `both`. The `secret` alone deletes the key pair.

        Raises PackageMissing.
        """
        if chosen == "secret":
            self.signing_key = self.previous_signing_key = self.previous_signing_key_expires_at = None
        elif self.signing_key is None:
            self.signing_key = signatures.new_key()
        self.key_only_since = (self.key_only_since or clock.now()) if chosen == "key" else None

    def rotate_key(self, now: datetime, overlap: timedelta = OVERLAP, key: str | None = None) -> None:
        """Take a new key pair, given or made here; the old one signs beside it until the overlap is over."""
        fresh = key or signatures.new_key()
        self.previous_signing_key = readable(self.signing_key)
        self.previous_signing_key_expires_at = now + overlap
        self.signing_key = fresh

    def forget_failures(self) -> None:
        """Forget all failures in a row."""
        self.failures_in_a_row = self.unreachable_in_a_row = 0
        self.failing_since = self.failing_announced_at = None


bind_secrets(Webhook)


class NeededSecrets(NamedTuple):
    """The secrets and private keys without which a request of a webhook cannot be signed."""

    secret: str | None = None
    previous_secret: str | None = None
    signing_key: str | None = None
    previous_signing_key: str | None = None


def needed_secrets(row: Any, now: datetime) -> NeededSecrets:
    """Return what signs the requests of a webhook then. `row` is a Webhook, or has its columns as stored.

    Pages and passes both ask here whether a webhook has to wait because a secret cannot be decrypted.
    """
    if row.format in UNSIGNED_FORMATS:
        return NeededSecrets()
    old_key = _unexpired(row.previous_signing_key, row.previous_signing_key_expires_at, now)
    if row.key_only_since:
        return NeededSecrets(None, None, row.signing_key, old_key)
    old_secret = _unexpired(row.previous_secret, row.previous_secret_expires_at, now)
    return NeededSecrets(row.secret, old_secret, row.signing_key, old_key)


def _unexpired(value: str | None, expires: datetime | None, now: datetime) -> str | None:
    return value if expires and expires > now else None


def _public_key(key: str | None) -> str | None:
    try:
        return key and signatures.public_key(key)
    except ValueError:  # somebody has garbled it by hand: its deliveries say so
        return None


class Template(Base):
    """The template of a webhook whose format is `template`."""

    __tablename__ = "templates"

    webhook_id: Mapped[str] = belongs_to("webhooks", "templates_webhook", primary_key=True)
    text: Mapped[str] = mapped_column(Text)


class ReceiverLink(Base):
    """One such link. The row is no secret: the link's address has a signature, which is stored nowhere."""

    __tablename__ = "receiver_links"
    __table_args__ = (Index("receiver_links_by_webhook", "webhook_id", "id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    webhook_id: Mapped[str] = belongs_to("webhooks", "receiver_links_webhook")
    name: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]

    def state(self, now: datetime) -> str:
        """Return `works`, `expired` or `revoked`."""
        if self.revoked_at:
            return "revoked"
        return "works" if self.expires_at > now else "expired"


QUEUE_STATUSES = ("new", "processed", "failed")


class ReplyAddress(Base):
    """Where the owner's reply to a comment is mailed; `id` is the comment's."""

    __tablename__ = "reply_addresses"
    __table_args__ = (Index("reply_addresses_by_age", "created_at"),)

    id: Mapped[str] = belongs_to("comments", "reply_addresses_comment", primary_key=True)
    address: Mapped[str] = mapped_column(Encrypted("reply address"))
    language: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    asked_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    mailed_at: Mapped[datetime | None]


bind_secrets(ReplyAddress)


class QueueRow:
    """A row of a queue. Its lease is its due time. Each model declares all columns in the table's order."""

    if TYPE_CHECKING:
        status: Mapped[str]
        due_at: Mapped[datetime | None]
        claimed_by: Mapped[str | None]

    def is_leased(self, now: datetime) -> bool:
        """Whether a pass has it in hand at this moment."""
        return self.claimed_by is not None and self.due_at is not None and self.due_at > now

    def requeue(self, now: datetime) -> None:
        """Make the row due at once, for a person."""
        self.status = "new"
        self.due_at = now
        self.claimed_by = None

    @classmethod
    def leased_at(cls, now: datetime) -> ColumnElement[bool]:
        """Return the condition for those that a pass has in hand."""
        return cls.claimed_by.is_not(None) & (cls.due_at > now)

    @classmethod
    def first_due(cls, among: ColumnElement[bool], index: str = "") -> ScalarSelect[Any]:
        """Return the first due time among those rows.

        Let an index have them in this order; MariaDB needs its name where the condition is not simple.
        EXISTS would make PostgreSQL under a generic plan read the whole table.
        """
        due = select(cls.due_at).where(among, cls.due_at.is_not(None))
        if index:
            hint = f"FORCE INDEX ({index})"
            due = due.with_hint(cls, hint, "mysql").with_hint(cls, hint, "mariadb")
        return due.order_by(cls.due_at).limit(1).scalar_subquery()


def checks(table: str) -> tuple[CheckConstraint, ...]:
    """Return the rules of the table of a queue."""
    return (
        CheckConstraint(f"status IN {QUEUE_STATUSES}", name=f"{table}_status"),
        CheckConstraint("(status = 'new') = (due_at IS NOT NULL)", name=f"{table}_due"),
        CheckConstraint("claimed_by IS NULL OR status = 'new'", name=f"{table}_lease"),
        CheckConstraint("attempts <= claims", name=f"{table}_attempts"),
    )


TRIGGERS = ("schedule", "redelivery", "test")
TIME_BOUNDS = (50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000)  # milliseconds, for `attempt_counts`
REFUSED_WITH = "The receiver answered "  # the beginning of the error of an answer that was no success


class Delivery(QueueRow, Base):
    """One event on its way to one webhook."""

    __tablename__ = "deliveries"
    __table_args__ = (
        *checks("deliveries"),
        Index("deliveries_by_due", "webhook_id", "due_at", "id"),
        Index("deliveries_by_status", "status", "id"),
        Index("deliveries_by_comment", "comment_id", "webhook_id", "sequence"),
        Index("deliveries_by_webhook", "webhook_id", "id"),
        Index("deliveries_by_finish", "status", "finished_at"),
    )

    # The simplest possible queue; what follows is bookkeeping, in the three groups of schema.sql.
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    payload: Mapped[str] = mapped_column(LONG_TEXT)
    status: Mapped[str] = mapped_column(String(9))

    event_id: Mapped[str] = mapped_column(String(32))
    event: Mapped[str] = mapped_column(String(60))
    webhook_id: Mapped[str] = belongs_to("webhooks", "deliveries_webhook")
    comment_id: Mapped[str | None] = belongs_to("comments", "deliveries_comment", ondelete="SET NULL")
    sequence: Mapped[int | None]
    created_at: Mapped[datetime]

    due_at: Mapped[datetime | None]
    claimed_by: Mapped[str | None] = mapped_column(String(64))
    claims: Mapped[int]
    attempts: Mapped[int]
    schedule_start: Mapped[int]

    finished_at: Mapped[datetime | None]
    last_status_code: Mapped[int | None]
    last_error: Mapped[str | None] = mapped_column(String(300))
    erased_at: Mapped[datetime | None]
    version: Mapped[str] = payload_version()

    @property
    def word(self) -> str:
        """Return the status for people: waiting, retrying, delivered or given up."""
        if self.status == "new":
            return "retrying" if self.attempts else "waiting"
        return {"processed": "delivered", "failed": "given up"}[self.status]

    @property
    def body(self) -> bytes:
        """Return the exact bytes that are sent."""
        # SQLite returns bytes if a person stored bytes by hand.
        payload: str | bytes = self.payload
        return payload if isinstance(payload, bytes) else payload.encode()

    def requeue(self, now: datetime) -> None:
        """Redeliver it: make it due at once, with the whole retry schedule before it."""
        super().requeue(now)
        self.finished_at = None
        self.schedule_start = self.attempts


class Attempt(Base):
    """One HTTP request made for a delivery."""

    __tablename__ = "attempts"
    __table_args__ = (CheckConstraint(f"triggered_by IN {TRIGGERS}", name="attempts_triggered_by"),)

    delivery_id: Mapped[str] = belongs_to("deliveries", "attempts_delivery", primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    triggered_by: Mapped[str] = mapped_column(String(12))
    started_at: Mapped[datetime]
    milliseconds: Mapped[int]
    status_code: Mapped[int | None] = mapped_column()
    error: Mapped[str | None] = mapped_column(String(300))
    request_headers: Mapped[dict[str, str]]
    response_headers: Mapped[dict[str, str] | None]
    response_body: Mapped[str | None] = mapped_column(Text)

    # An answer of 2xx with another error was a success, and the error is a note about it.
    succeeded: Mapped[bool] = column_property(
        func.coalesce(
            error.is_(None) | status_code.between(200, 299) & error.not_like(f"{REFUSED_WITH}%"), false()
        )
    )


class AttemptCount(Base):
    """How many attempts of a webhook came out so and took so long, since the book has counted."""

    __tablename__ = "attempt_counts"

    webhook_id: Mapped[str] = belongs_to("webhooks", "attempt_counts_webhook", primary_key=True)
    outcome: Mapped[str] = mapped_column(String(9), primary_key=True)
    bound: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    milliseconds: Mapped[int] = mapped_column(BigInteger)


DELIVERIES = Delivery.__table__
ATTEMPTS = Attempt.__table__
# Without the hint MariaDB may read a small table as a whole, and wait for rows that others have locked.
BY_COMMENT = "FORCE INDEX (deliveries_by_comment)"
# No earlier delivery about its comment is on its way to its webhook, so it may be sent as soon as it is due.
IS_NEXT = text(IS_NEXT_SQL)
IS_BEHIND = text(f"NOT {IS_NEXT_SQL}")
# The due time is of the query's webhook.
FIRST_DUE = Delivery.first_due(and_(Delivery.webhook_id == Webhook.id, IS_NEXT), "deliveries_by_due")

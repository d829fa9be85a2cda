"""Rows of a queue; deliveries, the rows of the outbox; and the attempts made for them."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
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

from guestbook.storage.column_types import LONG_TEXT
from guestbook.storage.database import Base
from guestbook.storage.models.webhook import Webhook
from guestbook.storage.plain_sql import IS_NEXT_SQL

QUEUE_STATUSES = ("new", "processed", "failed")


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
        """Make it due at once, for a person."""
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
REFUSED_WITH = "The receiver answered "  # so begins the error of an answer that was not a success


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
    webhook_id: Mapped[str] = mapped_column(
        ForeignKey("webhooks.id", name="deliveries_webhook", ondelete="CASCADE")
    )
    comment_id: Mapped[str | None] = mapped_column(
        ForeignKey("comments.id", name="deliveries_comment", ondelete="SET NULL")
    )
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

    @property
    def word(self) -> str:
        """Return the status as a page says it: waiting, retrying, delivered or given up."""
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

    delivery_id: Mapped[str] = mapped_column(
        ForeignKey("deliveries.id", name="attempts_delivery", ondelete="CASCADE"), primary_key=True
    )
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

    webhook_id: Mapped[str] = mapped_column(
        ForeignKey("webhooks.id", name="attempt_counts_webhook", ondelete="CASCADE"), primary_key=True
    )
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
IS_NEXT_OF_WEBHOOK = and_(Delivery.webhook_id == Webhook.id, IS_NEXT)
FIRST_DUE = Delivery.first_due(IS_NEXT_OF_WEBHOOK, "deliveries_by_due")  # of the query's webhook

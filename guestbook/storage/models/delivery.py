"""Deliveries, the rows of the outbox, and the attempts made for them."""

from datetime import datetime
from typing import cast

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, String, Table, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from guestbook.storage.database import Base
from guestbook.storage.models.webhook import Webhook

QUEUE_STATUSES = ("new", "processed", "failed")
TRIGGERS = ("schedule", "redelivery", "test")


class Delivery(Base):
    """One event on its way to one webhook."""

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint(f"status IN {QUEUE_STATUSES}", name="deliveries_status"),
        CheckConstraint("(status = 'new') = (due_at IS NOT NULL)", name="deliveries_due"),
        CheckConstraint("claimed_by IS NULL OR status = 'new'", name="deliveries_lease"),
        CheckConstraint("attempts <= claims", name="deliveries_attempts"),
        Index("deliveries_by_due", "webhook_id", "due_at", "id"),
        Index("deliveries_by_status", "status", "id"),
        Index("deliveries_by_comment", "comment_id"),
        Index("deliveries_by_webhook", "webhook_id", "id"),
        Index("deliveries_by_finish", "status", "finished_at"),
    )

    # The simplest possible queue; what follows is bookkeeping, in the three groups of schema.sql.
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    payload: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(9))

    event_id: Mapped[str] = mapped_column(String(32))
    event: Mapped[str] = mapped_column(String(60))
    webhook_id: Mapped[str] = mapped_column(
        ForeignKey("webhooks.id", name="deliveries_webhook", ondelete="CASCADE")
    )
    comment_id: Mapped[str | None] = mapped_column(
        ForeignKey("comments.id", name="deliveries_comment", ondelete="SET NULL")
    )
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

    def is_leased(self, now: datetime) -> bool:
        """Whether a pass has it in hand at this moment."""
        return self.claimed_by is not None and self.due_at is not None and self.due_at > now

    @classmethod
    def leased_at(cls, now: datetime) -> ColumnElement[bool]:
        """Return the condition for those that a pass has in hand."""
        return cls.claimed_by.is_not(None) & (cls.due_at > now)

    def redeliver(self, now: datetime) -> None:
        """Make it due at once for a person, with the whole retry schedule before it."""
        self.status = "new"
        self.due_at = now
        self.claimed_by = None
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
    status_code: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(String(300))
    request_headers: Mapped[dict[str, str]]
    response_headers: Mapped[dict[str, str] | None]
    response_body: Mapped[str | None] = mapped_column(Text)


DELIVERIES = cast(Table, Delivery.__table__)  # SQLAlchemy types it more widely
ATTEMPTS = cast(Table, Attempt.__table__)

# The first due time of the webhook that a query is about. A webhook's rows lie in its order in the index; not
# EXISTS, which PostgreSQL under a generic plan would answer by reading the whole table.
FIRST_DUE = (
    select(Delivery.due_at)
    .where(Delivery.webhook_id == Webhook.id, Delivery.due_at.is_not(None))
    .order_by(Delivery.due_at)
    .limit(1)
    .scalar_subquery()
)

"""The rules that the rows of both queues share: outbox and inbox."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, ColumnElement, ScalarSelect, select
from sqlalchemy.orm import Mapped

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

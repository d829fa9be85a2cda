"""Whether deliveries are overdue, and no pass sends them: for /healthz, `status` and the admin pages."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, TextClause, bindparam, select, text
from sqlalchemy.orm import Session

from guestbook.storage.column_types import UtcTime
from guestbook.storage.models import FIRST_DUE, Comment, Pass, Webhook

# Made once: monitors ask every few seconds.
_LOOKED_AT: Any = bindparam("now", type_=UtcTime)
_LAST_END = (
    select(Pass.finished_at).where(Pass.finished_at <= _LOOKED_AT).order_by(Pass.started_at.desc()).limit(1)
)
_DUE = select(FIRST_DUE).where(Webhook.open_at(_LOOKED_AT), FIRST_DUE <= _LOOKED_AT)
CRON_OVERDUE_AFTER = timedelta(minutes=15)  # the slowest cron that hosts offer


@dataclass(frozen=True, slots=True)
class Health:
    """Seconds since a pass last came to its end, and since the oldest due time; None without any."""

    last_pass_age: float | None
    oldest_due_age: float | None

    @property
    def is_well(self) -> bool:
        """False when something has been due, and no pass has ended, for a quarter of an hour.

        A start proves nothing: a pass that always crashes starts every minute.
        """
        if self.oldest_due_age is None or self.oldest_due_age < CRON_OVERDUE_AFTER.total_seconds():
            return True
        return self.last_pass_age is not None and self.last_pass_age < CRON_OVERDUE_AFTER.total_seconds()


def read(session: Session, now: datetime) -> Health:
    """Look at the last pass that ended and at the oldest delivery that may be sent and is due."""
    return Health(_age(last_end(session, now), now), _age(oldest_due(session, now), now))


def require_columns(session: Session) -> None:
    """Name every column and read no row, so that a book that is too old raises the database's error."""
    session.execute(_every_column()).all()


@cache
def _every_column() -> TextClause:
    """Return one statement for all tables; a database looks for each column that a statement names."""
    looks = []
    for table in Comment.metadata.sorted_tables:
        named = " OR ".join(f"{column} IS NULL" for column in table.columns)
        looks.append(f"SELECT 1 FROM {table} WHERE 1 = 0 AND ({named})")
    return text(" UNION ALL ".join(looks))


def last_pass(session: Session, which: ColumnElement[bool]) -> Pass | None:
    """Return the pass among those that started last."""
    return session.scalars(select(Pass).where(which).order_by(Pass.started_at.desc()).limit(1)).first()


def last_end(session: Session, now: datetime) -> datetime | None:
    """Return when a pass last ended; an end in the future, from before a clock jump, does not count."""
    return session.scalar(_LAST_END, {"now": now})


def oldest_due(session: Session, now: datetime) -> datetime | None:
    """Return the due time of the delivery that has waited longest; disabled and paused webhooks aside."""
    moments = session.scalars(_DUE, {"now": now})
    return min((due for due in moments if due), default=None)


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())

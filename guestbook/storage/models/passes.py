"""The passes of cron, and the outcomes of each day's deliveries."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from guestbook.storage.database import Base


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

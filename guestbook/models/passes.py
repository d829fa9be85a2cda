"""When cron last came and what it did."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from guestbook.database import db


class Pass(db.Model):
    """One run of the cron command."""

    __tablename__ = "passes"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(index=True)
    finished_at: Mapped[datetime | None]
    host: Mapped[str] = mapped_column(String(100))
    processed: Mapped[int]
    retried: Mapped[int]
    failed: Mapped[int]

"""Bins, which store all requests sent to them, and these requests."""

import json
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from guestbook.lib import body_encoding, clock, ids
from guestbook.storage.column_types import LONG_TEXT
from guestbook.storage.database import Base


class Bin(Base):
    """A catch-all URL that shows what arrived."""

    __tablename__ = "bins"
    __table_args__ = (UniqueConstraint("token", name="bins_token"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    name: Mapped[str] = mapped_column(String(80))
    token: Mapped[str] = mapped_column(String(64))
    answer_status: Mapped[int] = mapped_column(default=200)
    answer_body: Mapped[str] = mapped_column(Text, default="")
    answer_type: Mapped[str] = mapped_column(String(100), default="text/plain; charset=utf-8")
    delay_milliseconds: Mapped[int] = mapped_column(default=0)
    failures_left: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)

    def url(self, base_url: str) -> str:
        """Return the URL that catches."""
        return f"{base_url}/bin/{self.token}"


class BinRequest(Base):
    """One request to a bin."""

    __tablename__ = "bin_requests"
    __table_args__ = (
        CheckConstraint(f"encoding IN {body_encoding.ENCODINGS}", name="bin_requests_encoding"),
        Index("bin_requests_by_bin", "bin_id", "id"),
        Index("bin_requests_by_age", "received_at"),
        Index("bin_requests_by_event", "event_id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    bin_id: Mapped[str] = mapped_column(ForeignKey("bins.id", name="bin_requests_bin", ondelete="CASCADE"))
    method: Mapped[str] = mapped_column(String(20))
    path: Mapped[str] = mapped_column(Text)
    query: Mapped[str] = mapped_column(Text)
    headers: Mapped[str] = mapped_column(LONG_TEXT)
    body: Mapped[str] = mapped_column(LONG_TEXT)
    encoding: Mapped[str] = mapped_column(String(6))
    size: Mapped[int]
    answered: Mapped[int]
    received_at: Mapped[datetime]
    event_id: Mapped[str | None] = mapped_column(String(32))

    @property
    def kept(self) -> bytes:
        """Return the bytes of the body that were kept."""
        return body_encoding.unpack(self.body, self.encoding)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Return the headers in the order in which they came."""
        try:
            return [(str(name), str(value)) for name, value in json.loads(self.headers)]
        except (ValueError, TypeError, RecursionError):
            return []

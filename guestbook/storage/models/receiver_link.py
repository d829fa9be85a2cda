"""A link with which the people behind a webhook's receiver open its page."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from guestbook.lib import clock, ids
from guestbook.storage.database import Base


class ReceiverLink(Base):
    """One such link. The row is no secret: the link's address has a signature, which is stored nowhere."""

    __tablename__ = "receiver_links"
    __table_args__ = (Index("receiver_links_by_webhook", "webhook_id", "id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    webhook_id: Mapped[str] = mapped_column(
        ForeignKey("webhooks.id", name="receiver_links_webhook", ondelete="CASCADE")
    )
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

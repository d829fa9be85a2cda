"""What a visitor wrote."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from guestbook import clock, ids
from guestbook.database import Base

STATUSES = ("published", "held", "spam", "trash")


class Reply(Base):
    """What the owner answered to a comment."""

    __tablename__ = "replies"

    comment_id: Mapped[str] = mapped_column(
        ForeignKey("comments.id", name="replies_comment", ondelete="CASCADE"), primary_key=True
    )
    message: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)

    def public(self) -> dict[str, str]:
        """Return what anybody may know of it."""
        return {"message": self.message, "created_at": clock.to_text(self.created_at)}


class Comment(Base):
    """One signature in the book."""

    __tablename__ = "comments"
    __table_args__ = (
        UniqueConstraint("form_key", name="comments_form_key"),
        CheckConstraint(f"status IN {STATUSES}", name="comments_status"),
        Index("comments_by_status", "status", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    name: Mapped[str] = mapped_column(String(80))
    website: Mapped[str | None] = mapped_column(String(500))
    message: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(9))
    reason: Mapped[str | None] = mapped_column(String(200))
    form_key: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    # Read with the comments, in one query for all of them, so that no template has to ask.
    reply: Mapped[Reply | None] = relationship(
        lazy="selectin", cascade="all, delete-orphan", passive_deletes=True
    )

    @property
    def is_known(self) -> bool:
        """Whether it stands in the book or waits to: its receivers have heard of it."""
        return self.status in ("published", "held")

    @property
    def home(self) -> str:
        """Return the status that it goes back to: published, or held where it was suspicious."""
        return "held" if self.reason else "published"

    def url(self, base_url: str) -> str:
        """Return the absolute permalink."""
        return f"{base_url}/comments/{self.id}"

    def public(self, base_url: str) -> dict[str, str | None]:
        """Return what anybody may know of it: never an address, its hash, or a user agent."""
        return {
            "id": self.id,
            "name": self.name,
            "website": self.website,
            "message": self.message,
            "status": self.status,
            "url": self.url(base_url),
            "created_at": clock.to_text(self.created_at),
        }

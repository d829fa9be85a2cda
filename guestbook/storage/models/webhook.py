"""A webhook: a URL that gets our events, and its recent successes and failures."""

from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from guestbook.lib import clock, ids, retry_policy, signing
from guestbook.storage.database import Base

EVENTS = (
    "comment.created",
    "comment.published",
    "comment.deleted",
    "comment.replied",
    "inbound.received",
    "webhook.disabled",
    "ping",
)
DISABLED_REASONS = ("by_hand", "failing", "gone")
DISABLE_AFTER = 10  # failures in a row …
DISABLE_AFTER_TIME = timedelta(days=5)  # … with no success in between
OLD_SECRET_SIGNS_FOR = timedelta(hours=24)  # for which the old secret still signs after a rotation


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
    headers: Mapped[dict[str, str]]
    secret: Mapped[str] = mapped_column(String(100), default=signing.new_secret)
    previous_secret: Mapped[str | None] = mapped_column(String(100))
    previous_secret_expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(String(10))
    paused_until: Mapped[datetime | None]
    failures_in_a_row: Mapped[int] = mapped_column(default=0)
    unreachable_in_a_row: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]

    @classmethod
    def open_at(cls, now: datetime) -> ColumnElement[bool]:
        """Return the condition for webhooks that may be sent to: neither disabled nor paused."""
        return cls.disabled_at.is_(None) & (cls.paused_until.is_(None) | (cls.paused_until <= now))

    def enable(self) -> None:
        """Let its deliveries go out again, with a clean record."""
        self.disabled_at = self.disabled_reason = self.paused_until = None
        self._forget_failures()

    def disable(self, now: datetime, reason: str = "by_hand") -> None:
        """Stop sending; the reason is `by_hand`, `failing` or `gone`. Its deliveries wait."""
        if self.disabled_at is None:
            self.disabled_at, self.disabled_reason = now, reason

    def move(self, url: str) -> None:
        """Send to another URL from now on. The old one's failures are no reason to wait."""
        if url != self.url:
            self.url, self.paused_until = url, None
            self._forget_failures()

    def rotate_secret(self, now: datetime, overlap: timedelta = OLD_SECRET_SIGNS_FOR) -> None:
        """Take a new secret; the old one signs beside it until the overlap is over."""
        self.previous_secret, self.previous_secret_expires_at = self.secret, now + overlap
        self.secret = signing.new_secret()

    def note_success(self) -> None:
        """Forget the failures and reopen; a pause that the receiver itself requested goes on."""
        if self.unreachable_in_a_row >= retry_policy.PAUSE_AFTER:
            self.paused_until = None
        self._forget_failures()

    def has_failed_for_long(self, now: datetime) -> bool:
        """Whether the failures began five days ago, by this clock."""
        return self.failing_since is not None and now - self.failing_since >= DISABLE_AFTER_TIME

    def note_failure(
        self, now: datetime, *, unreachable: bool, pause: float, clock_is_steady: bool = True
    ) -> None:
        """Count a failure; pause after five unreachable in a row, or for the `pause` seconds it requested.

        Disables the webhook as `failing` when it has had no success for five days, and the clock did not
        jump in that time.
        """
        self.failures_in_a_row += 1
        self.failing_since = self.failing_since or now
        if not (unreachable and self._rests(now)):
            self.unreachable_in_a_row = self.unreachable_in_a_row + 1 if unreachable else 0
            self.paused_until = self._pause_end(now, pause)
        if self.failures_in_a_row >= DISABLE_AFTER and self.has_failed_for_long(now) and clock_is_steady:
            self.disable(now, "failing")

    def _forget_failures(self) -> None:
        self.failures_in_a_row = self.unreachable_in_a_row = 0
        self.failing_since = None

    def _rests(self, now: datetime) -> bool:
        """Whether it is paused as unreachable: what fails now too was under way before, and is no probe."""
        paused = self.paused_until is not None and self.paused_until > now
        return paused and self.unreachable_in_a_row >= retry_policy.PAUSE_AFTER

    def _pause_end(self, now: datetime, pause: float) -> datetime | None:
        ends = [now + timedelta(seconds=min(pause, retry_policy.RETRY_AFTER_CAP))] if pause else []
        if self.unreachable_in_a_row >= retry_policy.PAUSE_AFTER:
            ends.append(retry_policy.pause_until(now, self.unreachable_in_a_row - retry_policy.PAUSE_AFTER))
        if self.paused_until and self.paused_until > now:
            ends.append(self.paused_until)
        return max(ends, default=None)


class Template(Base):
    """The template of a webhook whose format is `template`."""

    __tablename__ = "templates"

    webhook_id: Mapped[str] = mapped_column(
        ForeignKey("webhooks.id", name="templates_webhook", ondelete="CASCADE"), primary_key=True
    )
    text: Mapped[str] = mapped_column(Text)

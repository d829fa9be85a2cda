"""Webhooks may have a rate limit."""

from guestbook.storage.migrations import steps

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns; a webhook that is there has no limit, as before."""
    steps.add_column("webhooks", "rate", "VARCHAR(10)")
    steps.add_column("webhooks", "rate_log", "TEXT")
    steps.add_column("webhooks", "next_slot_at", "VARCHAR(24)")

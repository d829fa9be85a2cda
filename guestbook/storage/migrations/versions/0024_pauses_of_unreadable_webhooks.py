"""Webhooks remember a pause that a wrong secret key began."""

from guestbook.storage.migrations import steps

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add the column."""
    steps.add_column("webhooks", "unreadable_until", "VARCHAR(24)")

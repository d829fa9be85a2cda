"""Webhooks hear that another one fails, and that it has recovered."""

from guestbook.storage.migrations import steps

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column; of a webhook that fails already the others hear at its next failure."""
    steps.add_column("webhooks", "failing_announced_at", "VARCHAR(24)")

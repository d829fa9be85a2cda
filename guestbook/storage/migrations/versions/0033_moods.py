"""A comment has the mood that its visitor chose."""

from guestbook.storage.migrations import steps

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Add the column."""
    steps.add_column("comments", "mood", "VARCHAR(40)")

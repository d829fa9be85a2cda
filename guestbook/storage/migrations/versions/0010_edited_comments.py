"""Comments know when they were edited, so that readers of the feeds see the new words."""

from guestbook.storage.migrations import steps

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; nobody knows when a comment was edited before."""
    steps.add_column("comments", "edited_at", "VARCHAR(24)")

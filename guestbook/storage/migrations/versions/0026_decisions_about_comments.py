"""Comments name who decided about them."""

from guestbook.storage.migrations import steps

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Add the column."""
    steps.add_column("comments", "decisions", "TEXT")

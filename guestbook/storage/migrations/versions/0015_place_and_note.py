"""Comments may have a place, and a note to the owner."""

from guestbook.storage.migrations import steps

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the columns. The form asks for neither until the owner wants it to."""
    steps.add_column("comments", "place", "VARCHAR(60)")
    steps.add_column("comments", "note", "TEXT")

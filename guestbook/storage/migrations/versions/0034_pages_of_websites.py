"""A comment may belong to a page of a website that shows the book."""

from guestbook.storage.migrations import steps

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Add the column and its index."""
    steps.add_column("comments", "page", "VARCHAR(350)")
    steps.run("CREATE INDEX IF NOT EXISTS comments_by_page ON comments (page, status, id)")

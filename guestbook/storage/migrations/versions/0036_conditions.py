"""A webhook and a source may have a condition that says which events they want."""

from guestbook.storage.migrations import steps

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Add the columns."""
    for table in ("webhooks", "sources"):
        steps.add_column(table, "event_condition", "VARCHAR(500)")

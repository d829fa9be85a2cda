"""A stranger who knows a source's URL cannot fill the disk: its unproven events have a budget."""

from guestbook.storage.migrations import steps

revision = "0006"
down_revision = "0005"
BY_PROOF = "inbound_events (source_id, status, unproven_bytes, id)"


def upgrade() -> None:
    """Add the columns; events that are there take nothing of the budget."""
    steps.add_column("sources", "budget_mb", "INTEGER DEFAULT 50 NOT NULL")
    steps.add_column("sources", "unproven_bytes", "INTEGER DEFAULT 0 NOT NULL")
    steps.add_column("inbound_events", "unproven_bytes", "INTEGER DEFAULT 0 NOT NULL")
    steps.run(f"CREATE INDEX IF NOT EXISTS inbound_events_by_proof ON {BY_PROOF}")

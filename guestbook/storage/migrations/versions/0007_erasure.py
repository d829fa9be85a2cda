"""A comment that is deleted for good leaves no words behind, and no webhook gets a comment twice."""

from guestbook.storage.migrations import steps

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns that erasure needs."""
    steps.add_column("comments", "announced_at", "VARCHAR(24)")
    steps.add_column("deliveries", "erased_at", "VARCHAR(24)")
    steps.add_column("inbound_events", "erased_at", "VARCHAR(24)")
    steps.add_column("bin_requests", "event_id", "VARCHAR(32)")
    steps.run("CREATE INDEX IF NOT EXISTS bin_requests_by_event ON bin_requests (event_id)")

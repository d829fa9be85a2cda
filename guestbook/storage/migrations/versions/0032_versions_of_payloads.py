"""A webhook keeps the version of its payloads, and a delivery that of its own."""

from guestbook.storage.migrations import steps

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Add the columns. Older rows have the first version."""
    for table in ("webhooks", "deliveries"):
        steps.add_column(table, "version", "VARCHAR(10) DEFAULT '2026-12-01' NOT NULL")

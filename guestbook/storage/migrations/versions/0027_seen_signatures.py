"""Replays of signed webhooks are noticed."""

from guestbook.storage.migrations import steps

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Add the table."""
    steps.run(
        "CREATE TABLE IF NOT EXISTS seen_signatures (mark VARCHAR(64) NOT NULL,"
        " event_id VARCHAR(32) NOT NULL, seen_at VARCHAR(24) NOT NULL, PRIMARY KEY (mark))"
        " /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */",
        "CREATE INDEX IF NOT EXISTS seen_signatures_by_age ON seen_signatures (seen_at)",
    )

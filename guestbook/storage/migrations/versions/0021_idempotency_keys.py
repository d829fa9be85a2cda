"""A request to the API may be repeated with the same Idempotency-Key."""

from guestbook.storage.migrations import steps

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the table."""
    steps.run(
        "CREATE TABLE IF NOT EXISTS idempotency_keys (id VARCHAR(64) NOT NULL, request VARCHAR(64) NOT NULL,"
        " answer TEXT /*!(4000000)*/ NOT NULL, created_at VARCHAR(24) NOT NULL, PRIMARY KEY (id))"
        " /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */",
        "CREATE INDEX IF NOT EXISTS idempotency_keys_by_age ON idempotency_keys (created_at)",
    )

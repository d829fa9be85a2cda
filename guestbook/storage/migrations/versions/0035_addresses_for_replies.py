"""A visitor may leave an e-mail address, to which one reply of the owner goes."""

from guestbook.storage.migrations import steps

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Add the table."""
    steps.run(
        "CREATE TABLE IF NOT EXISTS reply_addresses (id VARCHAR(32) NOT NULL, address TEXT NOT NULL,"
        " language VARCHAR(10) NOT NULL, created_at VARCHAR(24) NOT NULL, asked_at VARCHAR(24),"
        " confirmed_at VARCHAR(24), mailed_at VARCHAR(24), PRIMARY KEY (id),"
        " CONSTRAINT reply_addresses_comment FOREIGN KEY (id) REFERENCES comments (id) ON DELETE CASCADE)"
        " /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */",
        "CREATE INDEX IF NOT EXISTS reply_addresses_by_age ON reply_addresses (created_at)",
    )

"""Links open the page of a webhook's receiver."""

from guestbook.storage.migrations import steps

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add the table."""
    steps.run(
        "CREATE TABLE IF NOT EXISTS receiver_links (id VARCHAR(32) NOT NULL, webhook_id VARCHAR(32) NOT NULL,"
        " name VARCHAR(80) NOT NULL, created_at VARCHAR(24) NOT NULL, expires_at VARCHAR(24) NOT NULL,"
        " revoked_at VARCHAR(24), PRIMARY KEY (id), CONSTRAINT receiver_links_webhook"
        " FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE)"
        " /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */",
        "CREATE INDEX IF NOT EXISTS receiver_links_by_webhook ON receiver_links (webhook_id, id)",
    )

"""Attempts are counted for Prometheus, whatever is deleted."""

from guestbook.storage.migrations import steps

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Add the table."""
    steps.run(
        "CREATE TABLE IF NOT EXISTS attempt_counts (webhook_id VARCHAR(32) NOT NULL,"
        " outcome VARCHAR(9) NOT NULL, bound INTEGER NOT NULL, number BIGINT NOT NULL,"
        " milliseconds BIGINT NOT NULL,"
        " PRIMARY KEY (webhook_id, outcome, bound), CONSTRAINT attempt_counts_webhook"
        " FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE)"
        " /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */"
    )

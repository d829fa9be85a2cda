"""Tables for replies, the owner's settings, logins, tokens, limits and the days' figures."""

from guestbook.storage.migrations import steps

revision = "0002"
down_revision = "0001"
OWNER_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS replies (
        comment_id VARCHAR(32) NOT NULL,
        message TEXT NOT NULL,
        created_at VARCHAR(24) NOT NULL,
        PRIMARY KEY (comment_id),
        CONSTRAINT replies_comment FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE CASCADE
    ) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */
    """,
    "CREATE INDEX IF NOT EXISTS deliveries_by_webhook ON deliveries (webhook_id, id)",
    """
    CREATE TABLE IF NOT EXISTS days (
        day VARCHAR(10) NOT NULL,
        processed INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        PRIMARY KEY (day)
    ) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */
    """,
    """
    CREATE TABLE IF NOT EXISTS settings (
        name VARCHAR(40) NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (name)
    ) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */
    """,
    """
    CREATE TABLE IF NOT EXISTS sessions (
        id VARCHAR(64) NOT NULL,
        browser VARCHAR(200) NOT NULL,
        created_at VARCHAR(24) NOT NULL,
        expires_at VARCHAR(24) NOT NULL,
        PRIMARY KEY (id)
    ) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */
    """,
    """
    CREATE TABLE IF NOT EXISTS tokens (
        id VARCHAR(32) NOT NULL,
        name VARCHAR(80) NOT NULL,
        hash VARCHAR(64) NOT NULL,
        created_at VARCHAR(24) NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT tokens_hash UNIQUE (hash)
    ) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */
    """,
    """
    CREATE TABLE IF NOT EXISTS limits (
        who VARCHAR(64) NOT NULL,
        hits INTEGER NOT NULL,
        since VARCHAR(24) NOT NULL,
        last_at VARCHAR(24) NOT NULL,
        PRIMARY KEY (who)
    ) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */
    """,
)


def upgrade() -> None:
    """Make what is not there."""
    steps.run(*OWNER_TABLES)

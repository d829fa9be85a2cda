"""Tables for sources, inbound events, bins and templates; a comment says where it came from."""

from guestbook.storage.migrations import steps

revision = "0003"
down_revision = "0002"
INBOX_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS sources (
        id VARCHAR(32) NOT NULL,
        name VARCHAR(80) NOT NULL,
        token VARCHAR(64) NOT NULL,
        verify VARCHAR(10) NOT NULL,
        header VARCHAR(64),
        secret VARCHAR(200),
        previous_secret VARCHAR(200),
        previous_secret_expires_at VARCHAR(24),
        action VARCHAR(10) NOT NULL,
        template TEXT,
        relayed_since VARCHAR(24),
        created_at VARCHAR(24) NOT NULL,
        disabled_at VARCHAR(24),
        PRIMARY KEY (id),
        CONSTRAINT sources_token UNIQUE (token),
        CONSTRAINT sources_verify CHECK (
            verify IN ('github', 'standard', 'stripe', 'slack', 'token', 'none')
        ),
        CONSTRAINT sources_action CHECK (action IN ('log', 'comment', 'forward')),
        CONSTRAINT sources_secret CHECK ((verify = 'none') = (secret IS NULL))
    ) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */
    """,
    """
    CREATE TABLE IF NOT EXISTS inbound_events (
        id VARCHAR(32) NOT NULL,
        source_id VARCHAR(32) NOT NULL,
        external_id VARCHAR(200),
        event VARCHAR(100),
        sender VARCHAR(200),
        headers TEXT NOT NULL,
        payload TEXT /*!(4000000)*/ NOT NULL,
        encoding VARCHAR(6) NOT NULL,
        status VARCHAR(9) NOT NULL,
        attempts INTEGER NOT NULL,
        claims INTEGER NOT NULL,
        due_at VARCHAR(24),
        claimed_by VARCHAR(64),
        error VARCHAR(500),
        note VARCHAR(500),
        comment_id VARCHAR(32),
        received_at VARCHAR(24) NOT NULL,
        processed_at VARCHAR(24),
        PRIMARY KEY (id),
        CONSTRAINT inbound_events_once UNIQUE (source_id, external_id),
        CONSTRAINT inbound_events_source FOREIGN KEY (source_id) REFERENCES sources (id) ON DELETE CASCADE,
        CONSTRAINT inbound_events_comment FOREIGN KEY (comment_id)
            REFERENCES comments (id) ON DELETE SET NULL,
        CONSTRAINT inbound_events_encoding CHECK (encoding IN ('text', 'base64')),
        CONSTRAINT inbound_events_status CHECK (status IN ('new', 'processed', 'failed')),
        CONSTRAINT inbound_events_due CHECK ((status = 'new') = (due_at IS NOT NULL)),
        CONSTRAINT inbound_events_lease CHECK (claimed_by IS NULL OR status = 'new'),
        CONSTRAINT inbound_events_attempts CHECK (attempts <= claims)
    ) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */
    """,
    "CREATE INDEX IF NOT EXISTS inbound_events_by_due ON inbound_events (source_id, due_at, id)",
    "CREATE INDEX IF NOT EXISTS inbound_events_by_status ON inbound_events (status, id)",
    "CREATE INDEX IF NOT EXISTS inbound_events_by_source ON inbound_events (source_id, id)",
    "CREATE INDEX IF NOT EXISTS inbound_events_by_comment ON inbound_events (comment_id)",
    "CREATE INDEX IF NOT EXISTS inbound_events_by_end ON inbound_events (status, processed_at)",
    """
    CREATE TABLE IF NOT EXISTS origins (
        comment_id VARCHAR(32) NOT NULL,
        name VARCHAR(80) NOT NULL,
        url VARCHAR(500),
        told_at VARCHAR(24),
        PRIMARY KEY (comment_id),
        CONSTRAINT origins_url UNIQUE (url),
        CONSTRAINT origins_comment FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE CASCADE
    ) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */
    """,
    """
    CREATE TABLE IF NOT EXISTS templates (
        webhook_id VARCHAR(32) NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (webhook_id),
        CONSTRAINT templates_webhook FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE
    ) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */
    """,
    """
    CREATE TABLE IF NOT EXISTS bins (
        id VARCHAR(32) NOT NULL,
        name VARCHAR(80) NOT NULL,
        token VARCHAR(64) NOT NULL,
        answer_status INTEGER NOT NULL,
        answer_body TEXT NOT NULL,
        answer_type VARCHAR(100) NOT NULL,
        delay_milliseconds INTEGER NOT NULL,
        failures_left INTEGER NOT NULL,
        created_at VARCHAR(24) NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT bins_token UNIQUE (token)
    ) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */
    """,
    """
    CREATE TABLE IF NOT EXISTS bin_requests (
        id VARCHAR(32) NOT NULL,
        bin_id VARCHAR(32) NOT NULL,
        method VARCHAR(20) NOT NULL,
        path TEXT NOT NULL,
        query TEXT NOT NULL,
        headers TEXT /*!(4000000)*/ NOT NULL,
        body TEXT /*!(4000000)*/ NOT NULL,
        encoding VARCHAR(6) NOT NULL,
        size INTEGER NOT NULL,
        answered INTEGER NOT NULL,
        received_at VARCHAR(24) NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT bin_requests_bin FOREIGN KEY (bin_id) REFERENCES bins (id) ON DELETE CASCADE,
        CONSTRAINT bin_requests_encoding CHECK (encoding IN ('text', 'base64'))
    ) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */
    """,
    "CREATE INDEX IF NOT EXISTS bin_requests_by_bin ON bin_requests (bin_id, id)",
    "CREATE INDEX IF NOT EXISTS bin_requests_by_age ON bin_requests (received_at)",
)


def upgrade() -> None:
    """Make what is not there."""
    steps.run(*INBOX_TABLES)

"""The audit log keeps for a year who did what."""

from guestbook.storage.migrations import steps

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the table."""
    steps.run(
        "CREATE TABLE IF NOT EXISTS audit_log (id VARCHAR(32) NOT NULL, at VARCHAR(24) NOT NULL,"
        " actor VARCHAR(10) NOT NULL, actor_id VARCHAR(64), actor_name VARCHAR(200),"
        " action VARCHAR(20) NOT NULL, object VARCHAR(20) NOT NULL, object_id VARCHAR(64),"
        " object_name VARCHAR(80), detail VARCHAR(500), number INTEGER NOT NULL, PRIMARY KEY (id))"
        " /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */"
    )

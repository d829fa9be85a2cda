"""Held comments can be moderated by a link in a message, and the owner is reminded of them."""

from datetime import timedelta

from guestbook.lib import clock
from guestbook.storage.migrations import steps

revision = "0012"
down_revision = "0011"
HOLDS = """
    CREATE TABLE IF NOT EXISTS holds (
        comment_id VARCHAR(32) NOT NULL,
        held_at VARCHAR(24) NOT NULL,
        remind_at VARCHAR(24),
        decided_at VARCHAR(24),
        action VARCHAR(10),
        PRIMARY KEY (comment_id),
        CONSTRAINT holds_comment FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE CASCADE
    ) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */
"""
INDEXES = (
    "CREATE INDEX IF NOT EXISTS holds_by_reminder ON holds (remind_at)",
    "CREATE INDEX IF NOT EXISTS holds_by_decision ON holds (decided_at, held_at)",
)
HELD_NOW = """
    INSERT INTO holds (comment_id, held_at, remind_at)
    SELECT id, created_at, '{tomorrow}' FROM comments
    WHERE status = 'held' AND id NOT IN (SELECT comment_id FROM holds)
"""


def upgrade() -> None:
    """Add them. Webhooks that are there get no links; comments that are held now have a reminder tomorrow."""
    steps.add_column("webhooks", "moderation_links_since", "VARCHAR(24)")
    steps.run(HOLDS, *INDEXES)
    tomorrow = clock.to_text(clock.now() + timedelta(days=1))
    steps.run(HELD_NOW.format(tomorrow=tomorrow))

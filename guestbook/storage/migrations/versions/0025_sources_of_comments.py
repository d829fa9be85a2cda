"""A comment from elsewhere knows its source, also after a new name."""

from guestbook.storage.migrations import steps

revision = "0025"
down_revision = "0024"

BY_EVENT = """
    UPDATE origins SET source_id = (
        SELECT min(source_id) FROM inbound_events
        WHERE comment_id = origins.comment_id AND note LIKE 'It became a comment%'
    ) WHERE source_id IS NULL
"""
# Where the event was pruned, the name tells, if no other source ever had it, as the audit log knows.
BY_NAME = """
    UPDATE origins SET source_id = (
        SELECT min(id) FROM sources WHERE name = origins.name AND action <> 'webmention'
        AND created_at <= (SELECT created_at FROM comments WHERE id = origins.comment_id)
    ) WHERE source_id IS NULL
        AND (SELECT count(*) FROM sources WHERE name = origins.name) = 1
        AND NOT EXISTS (
            SELECT id FROM audit_log WHERE object = 'source' AND object_name = origins.name
            AND object_id NOT IN (SELECT id FROM sources WHERE name = origins.name)
        )
"""


def upgrade() -> None:
    """Add the column, and fill in what is known."""
    steps.add_column("origins", "source_id", "VARCHAR(32)")
    steps.change_rows(BY_EVENT)
    steps.change_rows(BY_NAME)

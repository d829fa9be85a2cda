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
CERTAIN = """
    SELECT id, name, created_at AS since FROM sources WHERE action <> 'webmention' AND name NOT IN (
        SELECT name FROM (
            SELECT id, name FROM sources UNION
            SELECT object_id, object_name FROM audit_log WHERE object = 'source' AND object_name IS NOT NULL
        ) AS known GROUP BY name HAVING count(id) > 1
    )
"""
BY_NAME = """
    UPDATE origins SET source_id = :id WHERE source_id IS NULL AND name = :name
        AND :since <= (SELECT created_at FROM comments WHERE id = origins.comment_id)
"""


def upgrade() -> None:
    """Add the column, and fill in what is known."""
    steps.add_column("origins", "source_id", "VARCHAR(32)")
    steps.change_rows(BY_EVENT)
    for row in steps.rows(CERTAIN):
        steps.change_rows(BY_NAME, **row)

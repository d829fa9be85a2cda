"""The events about one comment have numbers, and reach each webhook in this order."""

from guestbook.storage.migrations import steps

revision = "0016"
down_revision = "0015"

# An event that an earlier program stored, before or after this migration, has no number.
EVENTS_IN_ORDER = """
    SELECT deliveries.id,
        comments.last_sequence + ROW_NUMBER() OVER (PARTITION BY comment_id ORDER BY deliveries.id) AS place
    FROM deliveries JOIN comments ON comments.id = deliveries.comment_id WHERE deliveries.sequence IS NULL
"""
NUMBERED_ON_POSTGRESQL = f"""
    UPDATE deliveries SET sequence = ordered.place FROM ({EVENTS_IN_ORDER}) AS ordered
    WHERE ordered.id = deliveries.id
"""
NUMBERED_ON_MARIADB = f"""
    UPDATE deliveries JOIN ({EVENTS_IN_ORDER}) AS ordered ON ordered.id = deliveries.id
    SET deliveries.sequence = ordered.place
"""
NUMBERED_ON_SQLITE = (  # whose older releases know no UPDATE ... FROM
    "CREATE TEMPORARY TABLE ordered (id TEXT PRIMARY KEY, place INTEGER)",
    f"INSERT INTO ordered {EVENTS_IN_ORDER}",
    "UPDATE deliveries SET sequence = (SELECT place FROM ordered WHERE ordered.id = deliveries.id)"
    " WHERE sequence IS NULL AND comment_id IS NOT NULL",
    "DROP TABLE ordered",
)
LAST = """
    UPDATE comments SET last_sequence = (SELECT max(sequence) FROM deliveries WHERE comment_id = comments.id)
    WHERE EXISTS (
        SELECT id FROM deliveries WHERE comment_id = comments.id AND sequence > comments.last_sequence)
"""


def upgrade() -> None:
    """Number the deliveries of each comment by time; ids begin with it."""
    steps.add_column("comments", "last_sequence", "INTEGER DEFAULT 0 NOT NULL")
    steps.add_column("deliveries", "sequence", "INTEGER")
    steps.run(*_updates())
    # Under its old name: MariaDB refuses a statement of a program that is still running if the name is gone.
    steps.replace_index("deliveries", "deliveries_by_comment", "comment_id", "webhook_id", "sequence")
    steps.run(LAST)


def _updates() -> tuple[str, ...]:
    if steps.is_on("sqlite"):
        return NUMBERED_ON_SQLITE
    return (NUMBERED_ON_MARIADB,) if steps.is_on(*steps.SERVERS_OF_MARIADB) else (NUMBERED_ON_POSTGRESQL,)

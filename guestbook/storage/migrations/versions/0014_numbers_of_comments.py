"""Each comment has a number, its place in the order of signing."""

from guestbook.storage.migrations import steps

revision = "0014"
down_revision = "0013"

# Spam has no number until the owner takes it out.
IN_ORDER = """
    SELECT id, {last} + ROW_NUMBER() OVER (ORDER BY id) AS place
    FROM comments WHERE number IS NULL AND status <> 'spam'
"""
ON_POSTGRESQL = """
    UPDATE comments SET number = ordered.place FROM ({in_order}) AS ordered WHERE ordered.id = comments.id
"""
ON_MARIADB = """
    UPDATE comments JOIN ({in_order}) AS ordered ON ordered.id = comments.id
    SET comments.number = ordered.place
"""
ON_SQLITE = (  # whose older releases know no UPDATE ... FROM
    "CREATE TEMPORARY TABLE ordered (id TEXT PRIMARY KEY, place INTEGER)",
    "INSERT INTO ordered {in_order}",
    "UPDATE comments SET number = (SELECT place FROM ordered WHERE ordered.id = comments.id)"
    " WHERE number IS NULL AND status <> 'spam'",
    "DROP TABLE ordered",
)


def upgrade() -> None:
    """Number the comments by time; ids begin with it. The last number goes to the settings."""
    steps.add_column("comments", "number", "INTEGER")
    in_order = IN_ORDER.format(last=_last())
    steps.run(*(one.format(in_order=in_order) for one in _updates()))
    steps.run("CREATE UNIQUE INDEX IF NOT EXISTS comments_by_number ON comments (number)")
    if last := _last():
        steps.run(
            "DELETE FROM settings WHERE name = 'last_number'",
            f"INSERT INTO settings (name, value) VALUES ('last_number', '{last}')",
        )


def _updates() -> tuple[str, ...]:
    if steps.is_on("sqlite"):
        return ON_SQLITE
    return (ON_MARIADB,) if steps.is_on(*steps.SERVERS_OF_MARIADB) else (ON_POSTGRESQL,)


def _last() -> int:
    return steps.number("SELECT max(number) FROM comments")

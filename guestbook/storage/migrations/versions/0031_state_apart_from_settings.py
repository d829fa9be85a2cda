"""What the book remembers by itself has a table of its own, apart from the owner's settings."""

from guestbook.storage.migrations import steps

revision = "0031"
down_revision = "0030"

# The rows stay among the settings too: a web server of the program before this one reads them until it is
# restarted. A later migration removes them there.
COPY = """
    INSERT INTO book_state (name, value) SELECT name, value FROM settings
    WHERE (name IN ('password', 'second_factor', 'cron_token', 'last_number', 'hits') OR name LIKE 'undo:%')
        AND name NOT IN (SELECT name FROM book_state)
"""


def upgrade() -> None:
    """Add the table, and copy the rows."""
    steps.run(
        "CREATE TABLE IF NOT EXISTS book_state (name VARCHAR(40) NOT NULL, value TEXT NOT NULL,"
        " PRIMARY KEY (name)) /*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */"
    )
    steps.change_rows(COPY)

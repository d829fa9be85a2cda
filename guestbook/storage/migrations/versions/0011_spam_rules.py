"""The spam rules remember their reasons, repeated texts, learned words and refusals; spam has a date."""

from guestbook.lib import clock
from guestbook.storage.migrations import steps

revision = "0011"
down_revision = "0010"

TABLE_END = "/*! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */"


def upgrade() -> None:
    """Add the columns and tables; the time of what is spam already begins now."""
    steps.add_column("comments", "reasons", "TEXT")
    steps.add_column("comments", "spam_since", "VARCHAR(24)")
    steps.add_column("comments", "learned_as", "VARCHAR(4)")
    steps.run(
        f"UPDATE comments SET spam_since = '{clock.to_text(clock.now())}'"
        " WHERE status = 'spam' AND spam_since IS NULL",
        "CREATE TABLE IF NOT EXISTS learned_words (hash VARCHAR(16) NOT NULL, good INTEGER NOT NULL,"
        " spam INTEGER NOT NULL, changed_at VARCHAR(24) NOT NULL, PRIMARY KEY (hash)) " + TABLE_END,
        "CREATE TABLE IF NOT EXISTS text_marks (comment_id VARCHAR(32) NOT NULL, first VARCHAR(16) NOT NULL,"
        " second VARCHAR(16) NOT NULL, PRIMARY KEY (comment_id), CONSTRAINT text_marks_comment"
        " FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE CASCADE) " + TABLE_END,
        "CREATE INDEX IF NOT EXISTS text_marks_by_first ON text_marks (first, comment_id)",
        "CREATE INDEX IF NOT EXISTS text_marks_by_second ON text_marks (second, comment_id)",
        "CREATE TABLE IF NOT EXISTS refusals (id VARCHAR(40) NOT NULL, day VARCHAR(10) NOT NULL,"
        " reason VARCHAR(20) NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (id)) " + TABLE_END,
    )

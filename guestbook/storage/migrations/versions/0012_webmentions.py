"""Other pages tell by Webmention that they link here."""

from guestbook.storage.migrations import steps

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Let a source have the action of the one that the book adds for webmentions."""
    steps.replace_check("sources", "sources_action", "action IN ('log', 'comment', 'forward', 'webmention')")

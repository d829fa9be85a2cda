"""What the owner may do with one comment or with many. Pages and the API call this."""

from sqlalchemy.orm import Session

from guestbook.comments import book
from guestbook.settings import Settings
from guestbook.storage.models import Comment

STATUS_AFTER = {"publish": "published", "hold": "held", "spam": "spam", "trash": "trash"}
MODERATION_ACTIONS = (*STATUS_AFTER, "restore", "delete")
BULK_LIMIT = 200  # comments in one request


def run(session: Session, comment: Comment, action: str, settings: Settings) -> None:
    """Do it to one comment, which the caller has locked."""
    if action == "delete":
        book.delete(session, comment, settings)
    elif action == "restore":
        book.restore(session, comment, settings)
    else:
        book.decide(session, comment, STATUS_AFTER[action], settings)

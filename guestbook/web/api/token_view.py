"""What a token may see of a text."""

from guestbook.comments import moderation_link
from guestbook.web.api import authentication


def shown(text: str) -> str:
    """Hide links to moderate from programs that may read but not moderate."""
    return text if authentication.may("moderate") else moderation_link.hide(text)

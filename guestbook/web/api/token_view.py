"""What a token may see of a text."""

from guestbook.comments import moderation_link
from guestbook.lib import byte_text
from guestbook.web.api import authentication


def shown(text: str) -> str:
    """Hide links to moderate from programs that may read but not moderate."""
    return text if authentication.may("moderate") else moderation_link.hide(text)


def packed(content: bytes) -> tuple[str, str]:
    """Return bytes as `byte_text.pack` does, without what the token may not see, which base64 would show."""
    return byte_text.pack(shown(content.decode("latin-1")).encode("latin-1"))

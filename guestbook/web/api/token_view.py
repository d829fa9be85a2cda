"""What a token may see: with nothing in an answer can it do more than its scope.

Every answer to a token below `manage` passes `mask`. It hides addresses of the book that work like passwords.
Serializers hide the secret parts of other URLs, and what base64 would carry past the mask.
"""

from flask import Response

from guestbook.lib import body_encoding, redaction
from guestbook.web.api import authentication


def mask(response: Response) -> Response:
    """Hide the addresses of sources, bins and links that the token may not use itself."""
    if authentication.has_token() and not authentication.may("manage"):
        response.set_data(_shown(response.get_data(as_text=True)))
    return response


def packed(content: bytes) -> tuple[str, str]:
    """Return bytes as `body_encoding.pack` does, without what the token may not see."""
    return body_encoding.pack(_shown(content.decode("latin-1")).encode("latin-1"))


def url(whole: str) -> str:
    """Return the URL of a webhook as the token may see it."""
    return whole if authentication.may("manage") else redaction.url(whole)


def about_request(text: str, whole: str) -> str:
    """Return a text that may repeat the URL of a webhook, or a part of it."""
    return text if authentication.may("manage") else redaction.parts_of_url(text, whole)


def _shown(text: str) -> str:
    if authentication.may("manage"):
        return text
    return redaction.addresses(text, may_moderate=authentication.may("moderate"))

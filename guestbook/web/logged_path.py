"""The path of a request as the log has it: without the secret of a link, because others may read a log."""

from flask import request

from guestbook.comments import moderation_link
from guestbook.lib import receiver_token


def of_request() -> str:
    """Return the path of the current request without secrets of links."""
    return moderation_link.hide(receiver_token.hide(request.path))

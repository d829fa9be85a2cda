"""The cookie of a visitor who has signed the book: the id of that comment, signed. Readers get none.

With it the visitor may change or delete the comment for a while. And the spam rules trust this browser a
little more, as long as the owner leaves that comment in the book.
"""

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import request
from itsdangerous import BadSignature, Signer
from werkzeug.wrappers import Response

from guestbook.web import current

if TYPE_CHECKING:  # the page about privacy asks for the lifetime, and needs no SQLAlchemy
    from guestbook.storage.models import Comment

VISITOR_COOKIE = "guestbook_signed"
VISITOR_LIFETIME = timedelta(days=180)  # from the last comment


def give(response: Response, comment: "Comment") -> Response:
    """Let the browser remember its comment. It sends the cookie only to addresses below /comments."""
    base = urlsplit(current.settings().base_url)
    response.set_cookie(
        VISITOR_COOKIE,
        _signer().sign(comment.id).decode(),
        max_age=VISITOR_LIFETIME,
        path=f"{base.path}/comments",
        secure=base.scheme == "https",
        httponly=True,
        samesite="Lax",
    )
    return response


def earlier_comment() -> str | None:
    """Return the id of the comment that this browser has written, or None."""
    try:
        return _signer().unsign(request.cookies.get(VISITOR_COOKIE, "")).decode()
    except BadSignature:
        return None


def _signer() -> Signer:
    return Signer(current.signing_keys(), salt="guestbook signed")

"""What another guestbook tells us. Pure.

A comment has one home, the book in which it was signed, and its address there is its name everywhere: by it a
book knows what it has already, and what was its own all along, however many books pass it on in a circle.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guestbook.comments import comment_form

NO_NEWS = "The other book tells of this, and there is nothing to do here."
NOT_PUBLIC = "It is not published in the other book."
OURS = "It was written in this book."


@dataclass(frozen=True, slots=True)
class Told:
    """A comment of another book."""

    home: str  # its address in the book in which it was signed
    is_gone: bool  # it was taken out of the book that tells
    skip: str | None  # why there is nothing to do with it


def read(headers: Mapping[str, str], payload: Any, base_url: str) -> Told | None:
    """Return the comment that another guestbook tells of; None when it is none, or tells of no comment."""
    event = headers.get("x-guestbook-event", "")
    comment = _dict(_dict(_dict(payload).get("data")).get("comment"))
    if not event.startswith("comment.") or not comment:
        return None
    home = _dict(comment.get("origin")).get("url") or comment.get("url")
    if not isinstance(home, str) or comment_form.website_error(home):
        return None
    if home.startswith(f"{base_url}/"):
        return Told(home, False, OURS)
    return Told(home, event == "comment.deleted", _why_skip(event, comment))


def _why_skip(event: str, comment: Mapping[str, Any]) -> str | None:
    if event not in ("comment.created", "comment.published", "comment.deleted"):
        return NO_NEWS
    if event != "comment.deleted" and comment.get("status") != "published":
        return NOT_PUBLIC
    return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

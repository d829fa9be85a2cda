"""Read a comment of another guestbook. Pure.

A comment has one home, the book in which it was signed. Its address there is its name everywhere, so a book
recognizes what it has already and what is its own, however many books pass it on in a circle.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guestbook.comments import comment_form


@dataclass(frozen=True, slots=True)
class RemoteComment:
    """A comment of another book."""

    home: str  # its address in the book in which it was signed
    is_gone: bool  # the sending book removed it
    skip: str | None  # why there is nothing to do


def read(headers: Mapping[str, str], payload: Any, base_url: str) -> RemoteComment | None:
    """Return the comment in an event of another guestbook; None for other senders and events."""
    event = headers.get("x-guestbook-event", "")
    comment = _dict(_dict(_dict(payload).get("data")).get("comment"))
    if not event.startswith("comment.") or not comment:
        return None
    home = _dict(comment.get("origin")).get("url") or comment.get("url")
    if not isinstance(home, str) or comment_form.website_error(home):
        return None
    if home.startswith(f"{base_url}/"):
        return RemoteComment(home, False, "It was written in this book.")
    return RemoteComment(home, event == "comment.deleted", _why_skip(event, comment))


def _why_skip(event: str, comment: Mapping[str, Any]) -> str | None:
    if event not in ("comment.created", "comment.published", "comment.deleted"):
        return "There is nothing to do for this event of the other book."
    if event != "comment.deleted" and comment.get("status") != "published":
        return "It is not published in the other book."
    return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

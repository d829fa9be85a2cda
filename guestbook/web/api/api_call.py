"""A call of the API as its document describes it, and the scope that it needs."""

from typing import Any, NamedTuple

MODERATING = ("/comments", "/moderate", "/spam/end-flood")  # paths below which `moderate` is enough
PENDING = "GET /webhooks/{webhook_id}/pending"  # it leases what it returns


def scope(address: str) -> str:
    """Return the scope that a token needs for an address such as `PATCH /comments/{comment_id}`."""
    if address.startswith("GET ") and address != PENDING:
        return "read"
    return "moderate" if address.partition(" ")[2].startswith(MODERATING) else "manage"


class Call(NamedTuple):
    """A method at a path; errors that follow from the path, the token, the query and the body are added."""

    name: str
    summary: str
    good: dict[int, str | None]  # status → schema of the answer
    wrong: tuple[int, ...] = ()
    body: str | None = None  # its schema
    needs_body: bool = True
    query: tuple[dict[str, Any], ...] = ()
    token: str = "needed"  # or "optional" or "ignored"
    may_match: bool = False  # reads If-Match

"""The pages of a list: each begins before the id in `?before=`."""

from typing import Any

from flask import abort, request, url_for

from guestbook.lib import ids


def before() -> str | None:
    """Return the id in `?before=`; 404 for a value that is not an id."""
    before = request.args.get("before")
    if before is not None and not ids.ID.fullmatch(before):
        abort(404)
    return before


def links(older: str | None, **filters: Any) -> dict[str, str | None]:
    """Return the addresses of the newest page and of the next older one, with the same filters."""
    assert request.endpoint
    return {
        "newest": url_for(request.endpoint, **filters) if "before" in request.args else None,
        "older": url_for(request.endpoint, before=older, **filters) if older else None,
    }

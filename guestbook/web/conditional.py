"""Answers that are not sent again while they stay the same (RFC 9110, 13.1.2), and links between pages.

They have an ETag and no Last-Modified: a deletion or a new title changes an answer, and leaves no time.
"""

import hashlib
import json
from typing import Any

from flask import Response, abort, current_app, make_response, request, url_for
from werkzeug.exceptions import PreconditionFailed

from guestbook.lib import ids

FROM_ANY_SITE = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def public(body: str, content_type: str) -> Response:
    """Answer with this body, which any website may read, or with 304."""
    response = current_app.response_class(body, content_type=content_type)
    response.headers.update(FROM_ANY_SITE)
    return unless_known(response)


def unless_known(response: Response) -> Response:
    """Give the answer an ETag of its content; make it 304 for a reader that has it already."""
    response.set_etag(_etag(response))
    response.make_conditional(request)
    return response


def refuse_if_changed(document: dict[str, object] | Response) -> None:
    """Answer 412 if the request's If-Match names another version of this document (RFC 9110, 13.1.1).

    A weak ETag counts too: a proxy makes it so when it compresses the answer.
    """
    given = request.headers.get("If-Match", "").strip()
    if given and not request.if_match.contains_weak(_etag(make_response(document))):
        raise PreconditionFailed


def json_text(document: object) -> str:
    """Return a document as JSON. Other scripts than Latin stay readable."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _etag(response: Response) -> str:
    return hashlib.sha256(response.get_data()).hexdigest()[:32]


def page_before() -> str | None:
    """Return the id in `?before=`; 404 for a value that is not an id."""
    before = request.args.get("before")
    if before is not None and not ids.ID.fullmatch(before):
        abort(404)
    return before


def page_links(older: str | None, **filters: Any) -> dict[str, str | None]:
    """Return the addresses of the newest page and of the next older one, with the same filters."""
    assert request.endpoint
    return {
        "newest": url_for(request.endpoint, **filters) if "before" in request.args else None,
        "older": url_for(request.endpoint, before=older, **filters) if older else None,
    }

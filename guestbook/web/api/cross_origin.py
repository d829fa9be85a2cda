"""Calls from scripts of other websites, as the Fetch standard has them (CORS).

Any website may read what is public. The websites that may show the book in a frame may make every call, with
a token where it needs one. The API ignores cookies, so no answer allows credentials.
"""

from flask import Response, request
from sqlalchemy.exc import SQLAlchemyError

from guestbook.web import frame

ALLOW_ORIGIN = "Access-Control-Allow-Origin"
READABLE_HEADERS = (
    "ETag, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
)
SENDABLE_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match"
PREFLIGHT_SECONDS = 600  # for which a browser need not ask again


def add_headers(response: Response) -> Response:
    """Let the script read the answer, and answer a browser that asks before it sends."""
    if ALLOW_ORIGIN not in response.headers:
        response.vary.add("Origin")
        if not (origin := _allowed_origin()):
            return response
        response.headers[ALLOW_ORIGIN] = origin
    response.headers["Access-Control-Expose-Headers"] = READABLE_HEADERS
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = response.headers["Allow"]
        response.headers["Access-Control-Allow-Headers"] = SENDABLE_HEADERS
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    return response


def _allowed_origin() -> str | None:
    """Return the origin of the script if the book may be shown there."""
    origin = request.headers.get("Origin")
    try:
        return origin if origin and origin in frame.sites() else None
    except SQLAlchemyError:  # the answer says already that the database cannot be used
        return None

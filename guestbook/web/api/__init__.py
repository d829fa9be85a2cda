"""The JSON API under /api/v1, as its OpenAPI document describes it."""

from contextlib import suppress
from http import HTTPStatus

from flask import Blueprint, Flask, Response, request
from sqlalchemy.exc import SQLAlchemyError

from guestbook.lib.errors import Refused
from guestbook.web import embed, error_pages, response_headers
from guestbook.web.api import api_call, authentication, idempotency, openapi, request_reader
from guestbook.web.api.idempotency import AnsweredMeanwhile

ALLOW_ORIGIN = "Access-Control-Allow-Origin"
READABLE_HEADERS = (
    "ETag, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
)
SENDABLE_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match"
# A browser need not ask again for so long.
PREFLIGHT_SECONDS = 600


def register(app: Flask) -> None:
    """Give the app its API."""
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's own provider
    api = Blueprint("api", __name__, url_prefix=api_call.API_PATH)
    api.before_request(authentication.authenticate)
    api.before_request(request_reader.check)
    api.before_request(idempotency.look_up)
    api.after_request(_allow_origin)
    api.after_request(authentication.add_limits)
    api.after_request(authentication.add_headers)
    api.after_request(idempotency.keep_late)
    api.after_request(_unless_known)
    # The last one runs first, so that the ETag is of what is shown.
    api.after_request(authentication.mask)
    api.teardown_request(idempotency.stop_running)
    api.register_error_handler(Refused, error_pages.refuse_json)
    api.register_error_handler(AnsweredMeanwhile, idempotency.answer_meanwhile)
    for calls in openapi.SUBJECTS:
        api.register_blueprint(calls)
    app.register_blueprint(api)


def _unless_known(response: Response) -> Response:
    """Send an answer to a GET once: then 304, until it changes."""
    if request.method in ("GET", "HEAD") and response.status_code == HTTPStatus.OK:
        return response_headers.unless_known(response)
    return response


def _allow_origin(response: Response) -> Response:
    """Let the script of another website read the answer, and answer a browser that asks first (CORS).

    Any website may read what is public. Those that may show the book in a frame may make every call, with a
    token where it needs one. The API ignores cookies, so no answer allows credentials.
    """
    if ALLOW_ORIGIN not in response.headers:
        response.vary.add("Origin")
        origin, allowed = request.headers.get("Origin"), []
        with suppress(SQLAlchemyError):  # The answer says already that the database cannot be used.
            allowed = embed.sites() if origin else []
        if origin not in allowed:
            return response
        response.headers[ALLOW_ORIGIN] = origin
    response.headers["Access-Control-Expose-Headers"] = READABLE_HEADERS
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = response.headers["Allow"]
        response.headers["Access-Control-Allow-Headers"] = SENDABLE_HEADERS
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    return response

"""The JSON API under /api/v1, as its OpenAPI document describes it."""

from http import HTTPStatus

from flask import Blueprint, Flask, Response, request
from flask.typing import ResponseReturnValue

from guestbook.lib.errors import Refused
from guestbook.web import conditional, error_json
from guestbook.web.api import (
    audit,
    authentication,
    backfill,
    bin_requests,
    bins,
    book_settings,
    bulk,
    comments,
    deliveries,
    doctor,
    events,
    inbox,
    openapi_document,
    presets,
    previews,
    pull_calls,
    request_reader,
    reveal,
    serializers,
    sources,
    spam,
    statistics,
    tokens,
    webhooks,
)

API_MODULES = (
    *(comments, webhooks, pull_calls, deliveries, sources, inbox, bins, bin_requests, bulk, reveal, previews),
    *(backfill, events, presets, book_settings, statistics, spam, tokens, audit, doctor),
)


def register(app: Flask) -> None:
    """Give the app its API."""
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's own provider
    api = Blueprint("api", __name__, url_prefix=openapi_document.API_PATH)
    api.before_request(authentication.authenticate)
    api.before_request(request_reader.check)
    api.after_request(authentication.add_headers)
    api.after_request(_unless_known)
    api.register_error_handler(Refused, error_json.refuse)
    api.add_url_rule("/openapi.json", view_func=openapi)
    for module in API_MODULES:
        api.register_blueprint(module.calls)
    app.register_blueprint(api)


def _unless_known(response: Response) -> Response:
    """Send an answer to a GET once: then 304, until it changes."""
    if request.method in ("GET", "HEAD") and response.status_code == HTTPStatus.OK:
        return conditional.unless_known(response)
    return response


def openapi() -> ResponseReturnValue:
    """Return the OpenAPI document."""
    return openapi_document.build(serializers.address(""))

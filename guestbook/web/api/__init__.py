"""The JSON API under /api/v1, as its OpenAPI document describes it."""

from http import HTTPStatus

from flask import Blueprint, Flask, Response, request
from flask.typing import ResponseReturnValue

from guestbook.lib.errors import Refused
from guestbook.web import conditional, error_pages
from guestbook.web.api import (
    audit,
    authentication,
    backfill,
    bin_requests,
    bins,
    book_settings,
    bulk,
    comments,
    cross_origin,
    deliveries,
    doctor,
    events,
    idempotency,
    inbox,
    openapi_document,
    presets,
    previews,
    pull_calls,
    rate_headers,
    receiver_links,
    request_reader,
    reveal,
    serializers,
    sources,
    spam,
    statistics,
    token_view,
    tokens,
    webhooks,
)
from guestbook.web.api.idempotency import AnsweredMeanwhile

API_MODULES = (
    *(comments, webhooks, receiver_links, pull_calls, deliveries, sources, inbox, bins, bin_requests),
    *(bulk, reveal, previews, backfill, events, presets, book_settings, statistics, spam, tokens),
    *(audit, doctor),
)


def register(app: Flask) -> None:
    """Give the app its API."""
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's own provider
    api = Blueprint("api", __name__, url_prefix=openapi_document.API_PATH)
    api.before_request(authentication.authenticate)
    api.before_request(request_reader.check)
    api.before_request(idempotency.look_up)
    api.after_request(cross_origin.add_headers)
    api.after_request(rate_headers.add)
    api.after_request(authentication.add_headers)
    api.after_request(idempotency.keep_late)
    api.after_request(_unless_known)
    api.after_request(token_view.mask)  # it runs first, so that the ETag is of what is shown
    api.teardown_request(idempotency.stop_running)
    api.register_error_handler(Refused, error_pages.refuse_json)
    api.register_error_handler(AnsweredMeanwhile, idempotency.answer_meanwhile)
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

"""The JSON API under /api/v1, as its OpenAPI document describes it."""

from flask import Blueprint, Flask
from flask.typing import ResponseReturnValue

from guestbook.lib.errors import Refused
from guestbook.web import error_json
from guestbook.web.api import (
    authentication,
    comments,
    deliveries,
    inbox,
    openapi_document,
    serializers,
    webhooks,
)

API_MODULES = (comments, webhooks, deliveries, inbox)


def register(app: Flask) -> None:
    """Give the app its API."""
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's own provider
    api = Blueprint("api", __name__, url_prefix=openapi_document.API_PATH)
    api.before_request(authentication.authenticate)
    api.after_request(authentication.add_headers)
    api.register_error_handler(Refused, error_json.refuse)
    api.add_url_rule("/openapi.json", view_func=openapi)
    for module in API_MODULES:
        api.register_blueprint(module.calls)
    app.register_blueprint(api)


def openapi() -> ResponseReturnValue:
    """Return the OpenAPI document."""
    return openapi_document.build(serializers.address(""))

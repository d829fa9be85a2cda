"""The API, for programs: JSON in, JSON out, under /api/v1, as its document says."""

from flask import Blueprint, Flask

from guestbook.lib.errors import Refused
from guestbook.web import error_pages
from guestbook.web.api import authentication, comments, deliveries, inbox, openapi, openapi_document, webhooks

NOUNS = (openapi, comments, webhooks, deliveries, inbox)


def register(app: Flask) -> None:
    """Give the app its API."""
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's own provider
    api = Blueprint("api", __name__, url_prefix=openapi_document.API_PATH)
    api.before_request(authentication.authenticate)
    api.after_request(authentication.add_headers)
    api.register_error_handler(Refused, error_pages.refuse)
    for noun in NOUNS:
        api.register_blueprint(noun.calls)
    app.register_blueprint(api)

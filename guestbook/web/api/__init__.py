"""The API, for programs: JSON in, JSON out, under /api/v1, as its document says."""

from flask import Blueprint, Flask

from guestbook.refusal import Refused
from guestbook.web import errors
from guestbook.web.api import about, comments, deliveries, document, inbox, keys, webhooks

NOUNS = (about, comments, webhooks, deliveries, inbox)


def register(app: Flask) -> None:
    """Give the app its API."""
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's own provider
    api = Blueprint("api", __name__, url_prefix=document.PLACE)
    api.before_request(keys.admit)
    api.after_request(keys.add_headers)
    api.register_error_handler(Refused, errors.refuse)
    for noun in NOUNS:
        api.register_blueprint(noun.calls)
    app.register_blueprint(api)

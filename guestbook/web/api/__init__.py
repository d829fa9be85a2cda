"""The API, for programs: JSON in, JSON out, under /api/v1."""

from flask import Blueprint, Flask

PLACE = "/api/v1"


def register(app: Flask) -> None:
    """Give the app its API."""
    api = Blueprint("api", __name__, url_prefix=PLACE)
    app.register_blueprint(api)

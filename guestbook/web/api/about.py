"""The document that describes the API."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.web.api import document, shapes

calls = Blueprint("about", __name__)


@calls.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """Return the OpenAPI document."""
    return document.build(shapes.address(""))

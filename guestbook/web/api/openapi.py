"""/openapi.json."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.web.api import openapi_document, serializers

calls = Blueprint("about", __name__)


@calls.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """Return the OpenAPI document."""
    return openapi_document.build(serializers.address(""))

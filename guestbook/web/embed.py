"""The book for other websites: /embed is the page in the frame, /embed.js makes the frame on their page."""

import json
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, abort
from flask.typing import ResponseReturnValue

from guestbook.web import conditional, frame, public, request_context, signing, template_filters

pages = Blueprint(frame.BLUEPRINT, __name__)

SCRIPT_FILE = Path(__file__).parent.parent / "static" / "embed.js"
TITLE_IN_SCRIPT = '"Guestbook"'
SCRIPT_MAX_AGE = 24 * 3600  # seconds; other sites name it without a version


@pages.before_request
def require_sites() -> None:
    """Answer 404 while no website may show the book."""
    if not frame.sites():
        request_context.preferences()  # if the database cannot be used, that is the error
        abort(404)


@pages.after_request
def let_sites_show(response: Response) -> Response:
    """Let the allowed sites show the answer, be it an error; all other pages forbid every site."""
    response.headers["Content-Security-Policy"] = frame.content_policy()
    return response


@pages.get("/embed")
def index() -> ResponseReturnValue:
    """Show the book as it stands in the frame."""
    return public.index()


@pages.post("/embed")
def sign() -> ResponseReturnValue:
    """Sign the book inside the frame."""
    return signing.sign()


@pages.get("/embed.js")
def script() -> Response:
    """Return the script that makes the frame, for any page: the browser asks the book who may show it."""
    title = json.dumps(template_filters.of_book(request_context.preferences()).title)
    response = conditional.public(_script().replace(TITLE_IN_SCRIPT, title), "text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = f"public, max-age={SCRIPT_MAX_AGE}"
    return response


@cache
def _script() -> str:
    return SCRIPT_FILE.read_text()

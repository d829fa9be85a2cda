"""The book for other websites: /embed is the page in the frame, /embed.js makes the frame on their page."""

from flask import Blueprint, Response, abort, current_app
from flask.typing import ResponseReturnValue

from guestbook.web import conditional, current, frame, public, signing

pages = Blueprint(frame.BLUEPRINT, __name__)

SCRIPT_MAX_AGE = 24 * 3600  # seconds; other sites name it without a version


@pages.before_request
def require_sites() -> None:
    """Answer 404 while no website may show the book."""
    if not frame.sites():
        current.preferences()  # if the database is away, that is the error
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
    response = current_app.send_static_file("embed.js")
    response.headers.update(conditional.FROM_ANY_SITE)
    response.headers["Cache-Control"] = f"public, max-age={SCRIPT_MAX_AGE}"
    return response

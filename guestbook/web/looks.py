"""How the public pages look: the owner's look, or another one that this visitor has chosen, and the own CSS.

The choice is a cookie, which only those have who chose. The admin pages have one look, whatever the CSS does.
"""

import hashlib
from functools import lru_cache

from flask import Blueprint, Response, abort, after_this_request, current_app, g, request, url_for
from flask.typing import ResponseReturnValue

from guestbook.lib.errors import Translatable
from guestbook.storage.preferences import LOOKS, Preferences
from guestbook.web import frame, request_context, response_headers, visitor_choice

pages = Blueprint("looks", __name__)

LOOK_NAMES = {
    "paper": Translatable("Paper"),
    "plain": Translatable("Plain"),
    "terminal": Translatable("Terminal"),
    "window": Translatable("Grey windows"),
    "1999": "1999",
}
LOOK_COOKIE = "guestbook_look"
BUTTON_MAX_AGE = 24 * 3600  # seconds; other sites name it without a version
UNKNOWN_LOOK = Translatable("There is no such look. Go back and choose one from the list.")


def shown() -> str:
    """Return the look of the current page."""
    if "look" not in g:
        g.look = _shown()
    look: str = g.look
    return look


def may_choose() -> bool:
    """Whether this page lets its visitor choose. A frame does not: browsers keep cookies from it."""
    book = request_context.preferences_or_defaults()
    return book.visitor_looks and not frame.is_open() and not response_headers.has_admin_look()


def own_css_address() -> str | None:
    """Return the address of the owner's stylesheet, which changes with its text; None without one."""
    css = request_context.preferences_or_defaults().own_css
    return (
        url_for("looks.own_css", v=_fingerprint_of(css))
        if css and not response_headers.has_admin_look()
        else None
    )


@pages.post("/look")
def choose() -> ResponseReturnValue:
    """Keep the look that the visitor has chosen, or forget it where it is the owner's."""
    book, look = request_context.preferences(), request.form.get("look", "")
    if not book.visitor_looks:
        abort(404)
    if look not in LOOKS:
        abort(422, UNKNOWN_LOOK)
    return visitor_choice.answer(LOOK_COOKIE, look if look != book.look else None)


@pages.get("/own.css")
def own_css() -> ResponseReturnValue:
    """Return the owner's stylesheet: a file of its own, so that no page may have a style in it."""
    css = request_context.preferences().own_css
    if not css:
        abort(404)
    response = current_app.response_class(css, content_type="text/css; charset=utf-8")
    if request.args.get("v") == _fingerprint_of(css):
        response.headers["Cache-Control"] = response_headers.FOR_A_YEAR
    return response_headers.unless_known(response)


@pages.get("/button.svg")
def button() -> Response:
    """Return the button of 88 × 31 pixels with which other sites link the book."""
    response = current_app.send_static_file("button.svg")
    response.headers.update(response_headers.FROM_ANY_SITE)
    response.headers["Cache-Control"] = f"public, max-age={BUTTON_MAX_AGE}"
    return response


def _shown() -> str:
    if response_headers.has_admin_look():
        return Preferences().look
    book = request_context.preferences_or_defaults()
    if not may_choose():
        return book.look
    after_this_request(visitor_choice.vary)
    chosen = request.cookies.get(LOOK_COOKIE)
    return chosen if chosen in LOOKS else book.look


@lru_cache(maxsize=2)
def _fingerprint_of(css: str) -> str:
    return hashlib.sha256(css.encode()).hexdigest()[:12]

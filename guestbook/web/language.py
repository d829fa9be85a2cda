"""The language of a page: the one that its visitor has chosen, or that the browser asks for, or the owner's.

The choice is a cookie, which only those have who chose. Feeds have the owner's language, because they are for
everybody, and the owner's pages have English.
"""

from flask import Blueprint, Response, abort, after_this_request, g, has_request_context, request
from flask.typing import ResponseReturnValue

from guestbook.lib.errors import Translatable
from guestbook.storage.preferences import BOOK_LANGUAGES, Preferences
from guestbook.web import frame, request_context, response_headers, visitor_choice

pages = Blueprint("language", __name__)

ENGLISH = "en"  # the language of all texts in the code
LANGUAGE_COOKIE = "guestbook_language"
UNKNOWN_LANGUAGE = Translatable(
    "The book does not speak this language. Go back and choose one from the list."
)


def shown() -> str:
    """Return the language of the current page; the owner's for the pages of a static site."""
    if "language" not in g:
        g.language = _shown() if has_request_context() else request_context.preferences().language
    language: str = g.language
    return language


def may_choose() -> bool:
    """Whether this page lets its visitor choose. A frame does not: browsers keep cookies from it."""
    book = request_context.preferences_or_defaults()
    return book.visitor_languages and not frame.is_open() and not response_headers.is_for_owner()


@pages.post("/language")
def choose() -> ResponseReturnValue:
    """Keep the language that the visitor has chosen, or forget it where it is the browser's."""
    book, chosen = request_context.preferences(), request.form.get("language", "")
    if not book.visitor_languages:
        abort(404)
    if chosen not in BOOK_LANGUAGES:
        abort(422, UNKNOWN_LANGUAGE)
    return visitor_choice.answer(LANGUAGE_COOKIE, chosen if chosen != _of_browser(book) else None)


def _shown() -> str:
    if response_headers.is_for_owner():
        return ENGLISH
    book = request_context.preferences_or_defaults()
    if not book.visitor_languages or request.blueprint == "feeds":
        return book.language
    after_this_request(_vary)
    if not may_choose():
        return _of_browser(book)
    after_this_request(visitor_choice.vary)
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return chosen if chosen in BOOK_LANGUAGES else _of_browser(book)


def _of_browser(book: Preferences) -> str:
    """Return the first language of the browser that the book speaks (RFC 9110, 12.5.4), else the owner's.

    Werkzeug's own `best_match` would prefer an exact `de` to an earlier `en-GB`.
    """
    for tag, quality in request.accept_languages:  # the best first
        wanted = tag.partition("-")[0].lower()
        if wanted in BOOK_LANGUAGES and quality > 0:
            return wanted
    return book.language


def _vary(response: Response) -> Response:
    response.vary.add("Accept-Language")
    return response

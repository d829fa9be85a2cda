"""How a page looks, which language it has and in which time zone its dates are: the owner's or the visitor's.

A visitor's choice is a cookie, which only those have who chose; a language may also be the one that the
browser asks for. Feeds have the owner's language, because they are for everybody. The owner's pages have one
look, English and UTC.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Response,
    abort,
    after_this_request,
    current_app,
    has_request_context,
    redirect,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from guestbook.lib import clock
from guestbook.lib.errors import Translatable
from guestbook.storage.preferences import BOOK_LANGUAGES, LOOKS, RIGHT_TO_LEFT, Preferences
from guestbook.web import embed, request_context, response_headers

pages = Blueprint("looks", __name__)

LOOK_NAMES = {
    "paper": Translatable("Paper"),
    "plain": Translatable("Plain"),
    "terminal": Translatable("Terminal"),
    "window": Translatable("Grey windows"),
    "1999": "1999",
}
LOOK_COOKIE, LANGUAGE_COOKIE = "guestbook_look", "guestbook_language"
PRIVACY = "public.privacy"  # The link in a frame names the frame's language.
PAGES_TO_RETURN_TO = ("public.comment", PRIVACY)  # The others lead to the front page.
ENGLISH = "en"  # the language of all texts in the code
UNKNOWN_LOOK = Translatable("There is no such look. Go back and choose one from the list.")
UNKNOWN_LANGUAGE = Translatable(
    "The book does not speak this language. Go back and choose one from the list."
)


def look() -> str:
    """Return the look of the current page."""
    if response_headers.has_admin_look():
        return Preferences().look
    owners = request_context.preferences_or_defaults().look
    if may_choose_look():
        return _chosen(LOOK_COOKIE, LOOKS, owners)
    return embed.choice("look", LOOKS) or owners


def may_choose_look() -> bool:
    """Whether this page lets its visitor choose. A frame does not: browsers keep cookies from it."""
    book = request_context.preferences_or_defaults()
    return book.visitor_looks and not embed.is_open() and not response_headers.has_admin_look()


def shows_extras() -> bool:
    """Whether this page has what the owner added to its look."""
    return request_context.preferences_or_defaults().has_extras and not response_headers.has_admin_look()


def language() -> str:
    """Return the language of the current page; the owner's for the pages of a static site."""
    return request_context.once("language", _language)


def is_right_to_left() -> bool:
    """Whether the current page is written from right to left."""
    return language() in RIGHT_TO_LEFT


def may_choose_language() -> bool:
    """Whether this page lets its visitor choose, as with looks."""
    book = request_context.preferences_or_defaults()
    return book.visitor_languages and not embed.is_open() and not response_headers.is_for_owner()


def zone() -> str:
    """Return the name of the current page's time zone; the book's for the pages of a static site."""
    is_admin_page = has_request_context() and response_headers.is_admin_page()
    return clock.UTC_NAME if is_admin_page else request_context.preferences_or_defaults().timezone


def is_in_visitors_zone() -> bool:
    """Whether this page runs the script that shows its dates in the visitor's zone; then let it run."""
    if not request_context.preferences_or_defaults().visitor_times or response_headers.is_for_owner():
        return False

    @after_this_request
    def allow_script(response: Response) -> Response:
        if response.status_code < 400:  # Else an error took the place of the page.
            response.headers["Content-Security-Policy"] = response_headers.WITH_SCRIPT
        return response

    return True


@pages.post("/look")
def choose() -> ResponseReturnValue:
    """Keep the look that the visitor has chosen, or forget it where it is the owner's."""
    book = request_context.preferences()
    offered = LOOKS if book.visitor_looks else ()
    return _kept(LOOK_COOKIE, request.form.get("look", ""), offered, book.look, UNKNOWN_LOOK)


@pages.post("/language")
def choose_language() -> ResponseReturnValue:
    """Keep the language that the visitor has chosen, or forget it where it is the browser's."""
    book = request_context.preferences()
    offered, chosen = BOOK_LANGUAGES if book.visitor_languages else (), request.form.get("language", "")
    return _kept(LANGUAGE_COOKIE, chosen, offered, _of_browser(book), UNKNOWN_LANGUAGE)


@pages.get("/own.css")
def own_css() -> ResponseReturnValue:
    """Return the owner's stylesheet: a file of its own, so that no page may have a style in it."""
    css = request_context.preferences().own_css
    if not css:
        abort(404)
    response = current_app.response_class(css, content_type="text/css; charset=utf-8")
    if request.args.get("v") == response_headers.fingerprint(css.encode()):
        response.headers["Cache-Control"] = response_headers.FOR_A_YEAR
    return response_headers.unless_known(response)


def own_css_address() -> str | None:
    """Return the address of the owner's stylesheet, which changes with its text; None without one."""
    css = request_context.preferences_or_defaults().own_css
    is_shown = css and not response_headers.has_admin_look()
    return url_for("looks.own_css", v=response_headers.fingerprint(css.encode())) if is_shown else None


@pages.get("/button.svg")
def button() -> Response:
    """Return the button of 88 × 31 pixels with which other sites link the book."""
    response = current_app.send_static_file("button.svg")
    response.headers.update(response_headers.FROM_ANY_SITE)
    response.headers["Cache-Control"] = f"public, max-age={24 * 3600}"
    return response


def _language() -> str:
    if not has_request_context():
        return request_context.preferences().language
    if response_headers.is_for_owner():
        return ENGLISH
    book = request_context.preferences_or_defaults()
    named = request.args.get("lang") if embed.is_open() or request.endpoint == PRIVACY else None
    if named in BOOK_LANGUAGES:
        return named
    if not book.visitor_languages or request.blueprint == "feeds":
        return book.language
    _vary("Accept-Language")
    language = _of_browser(book)
    return _chosen(LANGUAGE_COOKIE, BOOK_LANGUAGES, language) if may_choose_language() else language


def _chosen(cookie: str, offered: Collection[str], default: str) -> str:
    """Return what this visitor has chosen. Caches must know that the page depends on the cookie."""
    _vary("Cookie")
    chosen = request.cookies.get(cookie, "")
    return chosen if chosen in offered else default


def _of_browser(book: Preferences) -> str:
    """Return the first language of the browser that the book speaks (RFC 9110, 12.5.4), else the owner's.

    Werkzeug's own `best_match` would prefer an exact `de` to an earlier `en-GB`.
    """
    for tag, quality in request.accept_languages:  # The best comes first.
        wanted = tag.partition("-")[0].lower()
        if wanted in BOOK_LANGUAGES and quality > 0:
            return wanted
    return book.language


def _kept(
    cookie: str, chosen: str, offered: Collection[str], default: str, unknown: str
) -> ResponseReturnValue:
    """Lead back to the page before; keep the choice for a year, or forget it where it is the default."""
    if not offered:
        abort(404)
    if chosen not in offered:
        abort(422, unknown)
    try:  # Lead to the book's page that the visitor comes from.
        path = urlsplit(request.referrer or "").path.removeprefix(request.script_root)
        endpoint, values = current_app.create_url_adapter(request).match(path, "GET")  # type: ignore[union-attr]  # there is one in a request
    except (HTTPException, ValueError):
        endpoint, values = "", {}
    there = url_for(endpoint, **values) if endpoint in PAGES_TO_RETURN_TO else url_for("public.index")
    response = redirect(there, 303)
    kept = None if chosen == default else chosen
    response_headers.set_cookie(response, cookie, kept, response_headers.YEAR_SECONDS)
    return response


def _vary(header: str) -> None:
    @after_this_request
    def vary(response: Response) -> Response:
        response.vary.add(header)
        return response

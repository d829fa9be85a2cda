"""The book in a frame on another website: which sites may show it, and where its links lead."""

from collections.abc import Collection
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from flask import g, request, url_for
from itsdangerous import BadSignature, URLSafeSerializer

from guestbook.lib import validate
from guestbook.queries import public_comments
from guestbook.storage.preferences import BOOK_LANGUAGES, LOOKS
from guestbook.web import request_context

BLUEPRINT = "embed"
PATH = "/embed"
WEBSITE_FORM = "website_form"  # the blueprint of plain forms on other websites
CHOICES = {"lang": BOOK_LANGUAGES, "look": LOOKS, "header": ("no",)}
# Pixels of a frame that holds an empty book in every language, also on a phone of 390 pixels.
HEIGHTS = {"paper": 1450, "plain": 1300, "terminal": 1450, "window": 1200, "1999": 1800}
# Pixels for what an owner may add to the form, by the preference.
MORE_HEIGHTS = {
    **{"prompt": 75, "asks_place": 150, "moods": 100, "asks_note": 150},
    **{"question": 175, "reply_mails": 200},
}
FRAMES = ("iframe", "frame", "embed", "object")  # values of Sec-Fetch-Dest
SITES_FIELD = "sites"  # The form has the sites, signed, for errors without the database.


def is_open() -> bool:
    """Whether this request came from a frame."""
    return BLUEPRINT in request.blueprints


def may_be_in_frame() -> bool:
    """Whether the browser says that the answer is for a frame, or does not say what it is for."""
    return request.headers.get("Sec-Fetch-Dest", "iframe") in FRAMES


def site() -> str | None:
    """Return the origin of the page around the frame, where it says one and that is allowed."""
    given = request.args.get("site")
    return given if given in sites() else None


def stranger() -> str | None:
    """Return the origin of the page around the frame, if it is known and may not show the book.

    Nobody has to trust what it says: a browser shows the answer to this origin alone.
    """
    if not may_be_in_frame():
        return None
    said_by_script = request.args.get("site", "") if "Sec-Fetch-Dest" in request.headers else ""
    with suppress(ValueError):
        around = validate.web_origin(_referrer_around() or said_by_script)
        same_by_http = around.replace("https:", "http:", 1)  # A browser takes it for https as well.
        return around if not {around, same_by_http} & set(sites()) else None
    return None


def _referrer_around() -> str:
    """Return what the browser says about the page around the frame: its address, or its origin alone."""
    is_click = "Sec-Fetch-User" in request.headers  # Then it tells of a page in the frame.
    referrer = "" if is_click else request.referrer or ""
    before, base = urlsplit(referrer), urlsplit(request_context.settings().base_url)
    is_own_host = before.netloc in (base.netloc, request.host)
    is_inside = is_own_host and f"{before.path}/".startswith(f"{request.script_root}{PATH}/")
    return "" if is_inside else referrer


def home(**values: Any) -> str:
    """Return the address of the book as this visitor sees it: its front page, or the frame."""
    return url_for("embed.index" if is_open() else "public.index", **parameters(), **values)


def parameters() -> dict[str, Any]:
    """Return what links to the book keep: the page, and what the page around the frame has chosen."""
    about = {"page": page()}
    if not is_open():
        return about
    chosen = {name: choice(name, offered) for name, offered in CHOICES.items()}
    return about | {"site": site()} | {name: value for name, value in chosen.items() if value}


def allowed_page(typed: str) -> str:
    """Return the address of a page of a website that may show the book; raises ValueError with a sentence."""
    page = validate.web_page(typed)
    if validate.web_origin(page) not in sites():
        raise ValueError("This page is of no website that may show the book.")
    return page


def page() -> str | None:
    """Return the page of an allowed website that this request is about; None if it names no such page."""
    is_form = request.blueprint == WEBSITE_FORM  # It has named its page, maybe by a path, in its body.
    try:
        return allowed_page((g.get("page_of_form") if is_form else request.args.get("page")) or "")
    except ValueError:
        return None


def names_wrong_page() -> bool:
    """Whether the address of this request names a page that must have no comments."""
    return bool(request.args.get("page")) and page() is None


def choice(name: str, offered: Collection[str]) -> str | None:
    """Return what the page around the frame has chosen; None without a frame, or if it is not offered."""
    chosen = request.args.get(name, "") if is_open() else ""
    return chosen if chosen in offered else None


def count() -> str:
    """Return how many comments the book or the page has, which the page around the frame may show."""
    number, most = public_comments.count(request_context.select(), page()), public_comments.COUNT_LIMIT
    return f"{number}" if number <= most else f"{most}+"


def height() -> int:
    """Return how many pixels high a frame without a script should be: it cannot follow its content."""
    book = request_context.preferences()
    return HEIGHTS[book.look] + sum(more for name, more in MORE_HEIGHTS.items() if getattr(book, name))


def has_header() -> bool:
    """Whether the page has its title and welcome: the page around a frame may have its own."""
    return choice("header", CHOICES["header"]) is None


def change_address(comment_id: str, token: str | None) -> str:
    """Return where visitors change their comment. It is no route: an app for readers has no such page."""
    if is_open():
        return url_for("embed.own_comment.show", comment_id=comment_id, own=token, **parameters())
    return url_for("public.comment", comment_id=comment_id) + "/edit"


def sign_address() -> str:
    """Return where the form of this visitor is sent."""
    return url_for("embed.sign" if is_open() else "public.sign", **parameters())


def sites() -> list[str]:
    """Return the origins that may show the book."""
    if "embed_sites" not in g:
        try:
            g.embed_sites = request_context.preferences().embed_sites.split()
        except Exception:
            if "preferences_are_away" not in g:
                raise
            g.embed_sites = []
            with suppress(BadSignature):
                g.embed_sites = _serializer().loads(request.form.get(SITES_FIELD, ""))
    allowed: list[str] = g.embed_sites
    return allowed


def signed_sites() -> str:
    """Return them for a hidden field: a visitor's text must come back into the frame in any case."""
    return str(_serializer().dumps(sites()))


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(request_context.settings().signing_keys, salt="guestbook frame")

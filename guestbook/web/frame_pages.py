"""The book in a frame of another website: its front page, and the pages of one's own comment."""

import json
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, g, render_template, request
from flask.typing import ResponseReturnValue

from guestbook.web import book_signing, embed, public_pages, request_context, response_headers, visitor_tokens
from guestbook.web.translation_and_template_filters import STATIC, of_book

pages = Blueprint(embed.BLUEPRINT, __name__)
pages.register_blueprint(book_signing.pages, url_prefix=f"{embed.PATH}{book_signing.pages.url_prefix}")
pages.add_url_rule(embed.PATH, "index", public_pages.index)
pages.add_url_rule(embed.PATH, "sign", book_signing.sign, methods=["POST"])

SCRIPT_MAX_AGE = 24 * 3600  # seconds; other sites name it without a version


@pages.before_request
def require_allowed_site() -> ResponseReturnValue | None:
    """Say to a website that may not show the book how it may; answer 404 while none may."""
    if request.endpoint == f"{embed.BLUEPRINT}.script":
        return None
    if not (sites := embed.sites()):
        request_context.preferences()  # If the database cannot be used, that is the error.
    if request.method == "GET" and (origin := embed.stranger()):
        return _not_yet_allowed(origin)
    return None if sites else abort(404)


def _not_yet_allowed(origin: str) -> ResponseReturnValue:
    """Show this website, and no other, a page without content. Its link leads to a button that allows it."""
    base_url = request_context.settings().base_url
    address = f"{base_url}{response_headers.ADMIN_PATH}/embed/?{urlencode({'site': origin})}"
    page = render_template("website_not_allowed.html", address=address)
    g.frame_ancestors = [origin]
    return page, 403, {"Cache-Control": "no-store"}


@pages.after_request
def let_sites_show(response: Response) -> Response:
    """Let the allowed sites show the answer, be it an error; all other pages forbid every site."""
    policy = response_headers.WITH_SCRIPT
    if sites := " ".join(g.get("frame_ancestors") or embed.sites()):
        policy = policy.replace("frame-ancestors 'none'", f"frame-ancestors {sites}")
    response.headers["Content-Security-Policy"] = policy
    if visitor_tokens.OWN_FIELD in request.args:
        response.headers.update(response_headers.SECRET_PAGE)
    elif request.cookies:  # Its visitor alone may see a comment that waits.
        response.headers.setdefault("Cache-Control", "private, no-cache")
    return response


@pages.get("/embed.js")
def script() -> Response:
    """Return the script that makes the frame, for any page: the browser asks the book who may show it."""
    title = json.dumps(of_book(request_context.preferences()).title)
    code = (STATIC / "embed.js").read_text().replace('"Guestbook"', title)
    response = response_headers.public(code, "text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = f"public, max-age={SCRIPT_MAX_AGE}"
    return response

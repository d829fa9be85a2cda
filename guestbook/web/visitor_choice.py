"""A visitor's choice of how pages look or which language they have: a form, and a cookie after it.

Only visitors who choose something get a cookie.
"""

from urllib.parse import urlsplit

from flask import current_app, redirect, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from guestbook.web import request_context, response_headers

PAGES_TO_RETURN_TO = ("public.comment", "public.privacy")  # the others lead to the front page


def answer(cookie: str, chosen: str | None) -> Response:
    """Lead back to the page before; keep the choice for a year, or forget it with None."""
    response = redirect(_page_before(), 303)
    base = urlsplit(request_context.settings().base_url)
    path, secure = f"{base.path}/", base.scheme == "https"
    if chosen is None:
        response.delete_cookie(cookie, path=path, secure=secure, httponly=True, samesite="Lax")
    else:
        age = response_headers.YEAR_SECONDS
        response.set_cookie(cookie, chosen, age, path=path, secure=secure, httponly=True, samesite="Lax")
    return response


def vary(response: Response) -> Response:
    """Tell caches that the page depends on the cookie, which hardly anybody has."""
    response.vary.add("Cookie")
    return response


def _page_before() -> str:
    """Return the address of the book's page that the visitor comes from, else that of the front page."""
    try:
        path = urlsplit(request.referrer or "").path.removeprefix(request.script_root)
        endpoint, values = current_app.create_url_adapter(request).match(path, "GET")  # type: ignore[union-attr]  # there is one in a request
    except (HTTPException, ValueError):
        return url_for("public.index")
    return url_for(endpoint, **values) if endpoint in PAGES_TO_RETURN_TO else url_for("public.index")

"""The headers of every answer: security, caching, and redirects that stay on this site."""

from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

from flask import Flask, Response, request
from werkzeug.utils import redirect

from guestbook.web import current

YEAR_SECONDS = 365 * 24 * 3600
FOR_A_YEAR = f"public, max-age={YEAR_SECONDS}, immutable"  # Cache-Control of what never changes
# Half a year, and this host alone: the book knows nothing of other hosts on the domain.
HTTPS_ONLY = f"max-age={YEAR_SECONDS // 2}"

RESPONSE_HEADERS = {
    # Nothing of ours is inline and nothing runs, so markup that slips through in a comment stays dead.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# For pages that run a file of ours. All work the same without it.
WITH_SCRIPT = f"{RESPONSE_HEADERS['Content-Security-Policy']}; script-src 'self'"


def init_app(app: Flask) -> None:
    """Add the headers to every answer, error pages and static files included."""
    app.after_request(add_headers)


def add_headers(response: Response) -> Response:
    """Add the headers that the view has not set itself."""
    there = {name.lower() for name, _ in response.headers}
    response.headers.extend([one for one in RESPONSE_HEADERS.items() if one[0].lower() not in there])
    if _is_https(current.settings().base_url):
        response.headers["Strict-Transport-Security"] = HTTPS_ONLY  # RFC 6797; over http browsers ignore it
    if request.endpoint == "static" and "v" in request.args and response.status_code in (200, 304):
        response.headers["Cache-Control"] = FOR_A_YEAR
    if response.status_code == HTTPStatus.PERMANENT_REDIRECT and response.location:
        _remove_host(response)
    # A browser may keep a page for its Back button, but must revalidate it before showing it as new.
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


def _is_https(base_url: str) -> bool:
    """Whether https is at its usual port, where browsers look for it in place of http."""
    parts = urlsplit(base_url)
    return parts.scheme == "https" and parts.port in (None, 443)


def _remove_host(response: Response) -> None:
    """Redirect within this site; Flask took the host from the request, where a stranger may choose it."""
    assert response.location
    path = "/" + urlunsplit(("", "", *urlsplit(response.location)[2:])).lstrip("/")
    response.location = path
    response.data = redirect(path).get_data()  # the page in it names the address too

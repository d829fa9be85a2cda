"""What stands at every door: the headers of each answer, and how much may come in."""

import io
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

from flask import Flask, Response, abort, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.utils import redirect

from guestbook.web import row_lookup

BODY_LIMIT = 64 * 1024  # bytes; 4,000 emoji take 48 kB, each sent as %F0%9F%98%80
BODY_LIMITS = {"receiver": 1024 * 1024, "bins": 10 * 1024 * 1024}  # bytes, by blueprint, where more may come
YEAR = 365 * 24 * 3600  # seconds
# Half a year, and this host alone: the book knows nothing of the others on the domain.
HTTPS_ONLY = f"max-age={YEAR // 2}"

HEADERS = {
    # Nothing of ours is inline and nothing runs, so a comment that slips through as markup stays dead.
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


def init_app(app: Flask) -> None:
    """Limit what comes in, and put the headers on all that goes out, error pages and files included."""
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT
    app.before_request(allow_more)
    app.before_request(refuse_long_body)
    app.after_request(add_headers)


def allow_more() -> None:
    """Take more where others' programs send, whose bodies are not ours to shorten."""
    if request.blueprint in BODY_LIMITS:
        request.max_content_length = BODY_LIMITS[request.blueprint]


def refuse_long_body() -> None:
    """Refuse a body without Content-Length that is too long; Werkzeug cuts it at the limit and goes on."""
    limit = request.max_content_length
    if request.content_length is not None or "wsgi.input_terminated" not in request.environ or limit is None:
        return
    body = _read(request.environ["wsgi.input"], limit + 1)
    if len(body) > limit:
        abort(RequestEntityTooLarge.code)
    request.environ["wsgi.input"] = io.BytesIO(body)


def add_headers(response: Response) -> Response:
    """Add what the view has not set itself."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if _is_https(row_lookup.settings().base_url):
        response.headers["Strict-Transport-Security"] = HTTPS_ONLY  # RFC 6797; over http browsers ignore it
    if request.endpoint == "static" and "v" in request.args and response.status_code in (200, 304):
        response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
    if response.status_code == HTTPStatus.PERMANENT_REDIRECT and response.location:
        _take_host_out(response)
    # A page may be kept for the Back button, but is asked for again before it is shown as new.
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


def _is_https(base_url: str) -> bool:
    """Whether https is at its usual port, where browsers look for it in place of http."""
    parts = urlsplit(base_url)
    return parts.scheme == "https" and parts.port in (None, 443)


def _take_host_out(response: Response) -> None:
    """Redirect within this site; Flask has taken the host from the request, where a stranger chose it."""
    assert response.location
    path = "/" + urlunsplit(("", "", *urlsplit(response.location)[2:])).lstrip("/")
    response.location = path
    response.data = redirect(path).get_data()  # the page in it names the address too


def _read(stream: io.RawIOBase, size: int) -> bytes:
    """Read up to so many bytes; a dechunking stream gives less than was asked for."""
    body = b""
    while len(body) < size and (part := stream.read(size - len(body))):
        body += part
    return body

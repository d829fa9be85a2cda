"""How long the body of a request may be."""

import io

from flask import Flask, abort, request
from werkzeug.exceptions import RequestEntityTooLarge

DEFAULT_LIMIT_BYTES = 64 * 1024  # 4,000 emoji take 48 kB, each sent as %F0%9F%98%80
BLUEPRINT_LIMIT_BYTES = {"receiver": 1024 * 1024, "bins": 10 * 1024 * 1024}


def init_app(app: Flask) -> None:
    """Limit the body of each request."""
    app.before_request(limit_body)


def limit_body() -> None:
    """Set the limit, which is higher where other programs send, whose bodies we cannot shorten.

    Refuse a longer body without Content-Length here: Werkzeug would silently cut it at the limit.
    """
    limit = BLUEPRINT_LIMIT_BYTES.get(request.blueprint or "", DEFAULT_LIMIT_BYTES)
    request.max_content_length = limit
    if request.content_length is not None or "wsgi.input_terminated" not in request.environ:
        return
    body = _read(request.environ["wsgi.input"], limit + 1)
    if len(body) > limit:
        abort(RequestEntityTooLarge.code)
    request.environ["wsgi.input"] = io.BytesIO(body)


def _read(stream: io.RawIOBase, size: int) -> bytes:
    """Read up to `size` bytes; a dechunking stream may give fewer than requested at a time."""
    body = b""
    while len(body) < size and (part := stream.read(size - len(body))):
        body += part
    return body

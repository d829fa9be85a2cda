"""How long the body of a request may be."""

import io

from flask import Flask, abort, request
from werkzeug.exceptions import RequestEntityTooLarge

DEFAULT_LIMIT_BYTES = 64 * 1024  # 4,000 emoji take 48 kB, each sent as %F0%9F%98%80
BLUEPRINT_LIMIT_BYTES = {"inbound_webhook": 1024 * 1024, "bins": 10 * 1024 * 1024}
DISCARDED_BYTES = 11 * 1024 * 1024  # of a body that is too long
DISCARD_AT_ONCE = 64 * 1024  # bytes


def init_app(app: Flask) -> None:
    """Limit the body of each request."""
    app.before_request(limit_body)


def limit_body() -> None:
    """Set the limit, which is higher where other programs send, whose bodies we cannot shorten.

    Refuse a longer body without Content-Length here: Werkzeug would silently cut it at the limit.
    """
    limit = BLUEPRINT_LIMIT_BYTES.get(request.blueprint or "", DEFAULT_LIMIT_BYTES)
    request.max_content_length = limit
    if request.content_length is not None:
        if request.content_length > limit:
            _discard(request.environ["wsgi.input"], min(request.content_length, DISCARDED_BYTES))
        return
    if "wsgi.input_terminated" not in request.environ:
        return
    body = _read(request.environ["wsgi.input"], limit + 1)
    if len(body) > limit:
        abort(RequestEntityTooLarge.code)
    request.environ["wsgi.input"] = io.BytesIO(body)


def _discard(stream: io.RawIOBase, size: int) -> None:
    """Read so much and forget it: some servers, such as gunicorn, break the connection on an unread body.

    A proxy in front would then answer 502, and the sender would try again and again.
    """
    while size > 0 and (part := stream.read(min(size, DISCARD_AT_ONCE))):
        size -= len(part)


def _read(stream: io.RawIOBase, size: int) -> bytes:
    """Read up to `size` bytes; a dechunking stream may give fewer than requested at a time."""
    body = b""
    while len(body) < size and (part := stream.read(size - len(body))):
        body += part
    return body

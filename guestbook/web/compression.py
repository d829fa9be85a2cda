"""Stylesheets go out compressed, to a third of their size. Pages do not: that is the web server's choice."""

import gzip
from functools import lru_cache
from http import HTTPStatus

from flask import Flask, Response, request

COMPRESSED_TYPE = "text/css"
GZIP = "gzip"  # every browser takes it


def init_app(app: Flask) -> None:
    """Compress the stylesheets among the answers."""
    app.after_request(compress)


def compress(response: Response) -> Response:
    """Compress a stylesheet for a browser that takes it so. Its ETag becomes weak: the bytes differ."""
    if response.mimetype != COMPRESSED_TYPE or response.status_code != HTTPStatus.OK:
        return response
    response.vary.add("Accept-Encoding")
    if not request.accept_encodings.quality(GZIP) or "Range" in request.headers:
        return response
    etag, _ = response.get_etag()
    response.direct_passthrough = False  # so that a file can be read here
    response.set_data(_compressed(response.get_data()))
    response.headers["Content-Encoding"] = GZIP
    response.headers.pop("Accept-Ranges", None)
    if etag:
        response.set_etag(etag, weak=True)
    return response


@lru_cache(maxsize=16)
def _compressed(css: bytes) -> bytes:
    return gzip.compress(css, mtime=0)

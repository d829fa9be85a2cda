"""Stylesheets, scripts and the public pages go out compressed, to a third of their size.

A page is compressed only for a request without a cookie: it is the same for everybody, so its size cannot
tell a secret to somebody who chooses a part of its text (https://www.breachattack.com/).
"""

import gzip
from functools import lru_cache
from http import HTTPStatus

from flask import Flask, Response, request

FILE_TYPES = ("text/css", "text/javascript")
PAGE_TYPE = "text/html"
PUBLIC_PAGES = "public"  # the blueprint
GZIP = "gzip"  # every browser takes it
PAGE_LEVEL = 5  # a page is compressed for each reader: more would save a hundredth, and take twice as long


def init_app(app: Flask) -> None:
    """Compress those answers."""
    app.after_request(compress)


def compress(response: Response) -> Response:
    """Compress an answer for a browser that takes it so. Its ETag becomes weak: the bytes differ."""
    is_page = response.mimetype == PAGE_TYPE and request.blueprint == PUBLIC_PAGES
    is_whole = response.status_code == HTTPStatus.OK
    has_both_forms = is_whole or response.status_code == HTTPStatus.NOT_MODIFIED
    if not has_both_forms or not (is_page or response.mimetype in FILE_TYPES):
        return response
    response.vary.add("Accept-Encoding")  # not Cookie: a cache may give either to everybody
    if not is_whole or not request.accept_encodings.quality(GZIP) or "Range" in request.headers:
        return response
    if is_page:
        if "Cookie" in request.headers or "Set-Cookie" in response.headers:
            return response
        response.set_data(gzip.compress(response.get_data(), PAGE_LEVEL, mtime=0))
    else:
        response.direct_passthrough = False  # so that a file can be read here
        response.set_data(_compressed(response.get_data()))
    response.headers["Content-Encoding"] = GZIP
    response.headers.pop("Accept-Ranges", None)
    etag, _ = response.get_etag()
    if etag:
        response.set_etag(etag, weak=True)
    return response


@lru_cache(maxsize=16)
def _compressed(file: bytes) -> bytes:
    return gzip.compress(file, mtime=0)

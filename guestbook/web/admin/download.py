"""Bytes that somebody may want to keep."""

from flask import Response


def of(content: bytes, name: str) -> Response:
    """Give the exact bytes, to be saved under that name: no browser shall take them for a page."""
    response = Response(content, mimetype="application/octet-stream")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response

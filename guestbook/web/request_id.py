"""The number of a request, which the log and the error page name."""

import secrets

from flask import Response, g


def get() -> str:
    """Return the number of this request."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(6)
    number: str = g.request_id
    return number


def add_header(response: Response) -> Response:
    """Add the number to every error, so that it can be found in the log."""
    if response.status_code >= 400:
        response.headers["X-Request-Id"] = get()
    return response

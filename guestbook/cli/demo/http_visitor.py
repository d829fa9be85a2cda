"""The demo's visitor: real requests over HTTP, to the demo's own server alone."""

import http.client
import json
import urllib.error
import urllib.request

from guestbook.lib.errors import Refused

TIMEOUT = 10.0  # seconds
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy knows this server


def is_served(address: str) -> bool | None:
    """Whether the book's page is there; None for not yet."""
    try:
        with _opener.open(f"{address}/", timeout=TIMEOUT) as answer:
            return True if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None


def sign(address: str, name: str, message: str) -> str:
    """Sign the book by its API, as curl would; return the comment's id."""
    body = json.dumps({"name": name, "message": message}).encode()
    request = urllib.request.Request(
        f"{address}/api/v1/comments", body, {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with _opener.open(request, timeout=TIMEOUT) as answer:
            return str(json.load(answer)["id"])
    except urllib.error.HTTPError as error:
        with error:
            raise Refused(f"The book did not take the comment: it answered {error.code}.") from None
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        raise Refused(f"The book did not take the comment: {error}.") from None

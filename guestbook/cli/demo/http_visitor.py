"""The demo's visitor: real HTTP requests to the demo's own server."""

import http.client
import json
import urllib.error
import urllib.request

from guestbook.lib.errors import Refused

REQUEST_TIMEOUT = 10.0  # seconds
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy can reach this server


def is_served(address: str) -> bool | None:
    """Whether the book's page is served; None for not yet."""
    try:
        with _opener.open(f"{address}/", timeout=REQUEST_TIMEOUT) as answer:
            return True if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None


def sign(address: str, name: str, message: str) -> str:
    """Sign the book through its API; return the comment's id."""
    body = json.dumps({"name": name, "message": message}).encode()
    request = urllib.request.Request(
        f"{address}/api/v1/comments", body, {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with _opener.open(request, timeout=REQUEST_TIMEOUT) as answer:
            return str(json.load(answer)["id"])
    except urllib.error.HTTPError as error:
        with error:
            raise Refused(f"The book did not take the comment: it answered {error.code}.") from None
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        raise Refused(f"The book did not take the comment: {error}.") from None

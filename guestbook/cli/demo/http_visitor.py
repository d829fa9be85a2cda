"""The demo's visitor: real HTTP requests to the demo's own server."""

import requests

from guestbook.lib.errors import Refused

REQUEST_TIMEOUT = 10.0  # seconds
_browser = requests.Session()
_browser.trust_env = False  # no proxy can reach this server


def is_served(address: str) -> bool | None:
    """Whether the book's page is served; None for not yet."""
    try:
        return _browser.get(f"{address}/", timeout=REQUEST_TIMEOUT).status_code == 200 or None
    except requests.RequestException:
        return None


def sign(address: str, name: str, message: str) -> str:
    """Sign the book through its API; return the comment's id."""
    comment = {"name": name, "message": message}
    try:
        answer = _browser.post(f"{address}/api/v1/comments", json=comment, timeout=REQUEST_TIMEOUT)
        if not answer.ok:
            raise Refused(f"The book did not take the comment: it answered {answer.status_code}.")
        return str(answer.json()["id"])
    except (requests.RequestException, ValueError, KeyError) as error:
        raise Refused(f"The book did not take the comment: {error}.") from None

"""Pages of strangers. A session of requests follows redirects; its adapter uses our checked connections."""

import time
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urldefrag

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from guestbook.transport.failure import TransportError

MOST_REDIRECTS = 5  # from one address to the next, for one page

Ask = Callable[[str, Mapping[str, str], float], Any]  # URL, headers, seconds → ReceiverAnswer


class PageAdapter(BaseAdapter):
    """Sends each request of a session through `ask`, within the time of the page; keeps the last answer."""

    def __init__(self, ask: Ask, seconds: float, before: Callable[[str], None]) -> None:
        super().__init__()
        self._ask, self._before = ask, before
        self._until = time.monotonic() + seconds
        self.url, self.answer = "", None

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Return the answer to one request as requests has it; raises TransportError."""
        self.url = urldefrag(str(request.url)).url
        self._before(self.url)
        left = max(self._until - time.monotonic(), 0)
        self.answer = answer = self._ask(self.url, dict(request.headers), left)
        response = requests.Response()
        response.status_code, response.url, response.request = answer.status, self.url, request
        response.headers = CaseInsensitiveDict(answer.headers)
        response.raw = BytesIO(answer.body)
        return response

    def close(self) -> None:
        """Do nothing: the connections are not of the session."""


def read(adapter: PageAdapter, url: str, headers: Mapping[str, str]) -> tuple[str, Any]:
    """Read a page with one GET, and one more for each redirect.

    Return where it was found, and the answer; raises TransportError. Nothing of the environment counts.
    """
    with requests.Session() as session:
        session.trust_env, session.max_redirects = False, MOST_REDIRECTS
        session.headers.clear()
        session.mount("", adapter)
        for scheme in ("http://", "https://"):
            session.mount(scheme, adapter)
        try:
            session.get(url, headers=headers)
        except requests.TooManyRedirects:
            raise TransportError("too_many_redirects", sent=True) from None
        except ValueError:  # also of requests: an address that is none
            raise TransportError("bad_url", "its address, or that of a redirect, is not valid") from None
    return adapter.url, adapter.answer

"""What requests show of the way they came: it tells `doctor` whether the settings fit.

It costs a few look-ups for each request. Each fact is written once an hour at most.
"""

import re
import time
from urllib.parse import urlsplit

from flask import Flask, request

from guestbook.settings import Settings
from guestbook.storage import book_file, seen_facts
from guestbook.storage.book_file import HostNote

NOTE_AGAIN_AFTER = 3600.0  # seconds
UNOBSERVED = ("/healthz", "/metrics", "/static/")  # monitors often come from the same host, past the proxy
MOST_PROXIES = 11  # more than may be set
HOST_HEADER = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,200}")  # all that may be shown of a stranger's header


def init_app(app: Flask) -> None:
    """Observe each request before anything can fail."""
    app.before_request(RequestObserver(app.config["GUESTBOOK"]).observe)


class RequestObserver:
    """Notes that this host serves the book, and how requests reach it."""

    def __init__(self, settings: Settings) -> None:
        self._data_dir = settings.data_dir
        self._base = urlsplit(settings.base_url).netloc.lower()
        self._host = HostNote(settings, book_file.WEB)
        self._next: dict[str, float] = {}

    def observe(self) -> None:
        """Look at the current request."""
        self._host.renew()
        if request.path.startswith(UNOBSERVED):
            return
        now = time.monotonic()
        facts = {name: text for name, text in self._facts().items() if now >= self._next.get(name, 0)}
        if facts:
            self._next |= dict.fromkeys(facts, now + NOTE_AGAIN_AFTER)
            seen_facts.note_fact(self._data_dir, facts)

    def _facts(self) -> dict[str, str]:
        headers, before_proxy = request.headers, request.environ.get("werkzeug.proxy_fix.orig", {})
        scheme = before_proxy.get("wsgi.url_scheme", request.environ["wsgi.url_scheme"])
        scheme = headers.get("X-Forwarded-Proto", scheme).rpartition(",")[2].strip().lower()
        names = [name.lower() for key in ("Host", "X-Forwarded-Host") if (name := headers.get(key))]
        addresses = headers.get("X-Forwarded-For")
        facts = {seen_facts.NO_PROXY if addresses is None else seen_facts.BY_PROXY: ""}
        if addresses is not None:
            facts[f"{seen_facts.ADDRESSES}{min(addresses.count(',') + 1, MOST_PROXIES)}"] = ""
        facts[seen_facts.HTTPS if scheme == "https" else seen_facts.PLAIN_HTTP] = ""
        if self._base in names:
            facts[seen_facts.SAME_HOST] = ""
        elif names and HOST_HEADER.fullmatch(names[-1]):
            facts[seen_facts.OTHER_HOST] = f"{'https' if scheme == 'https' else 'http'}://{names[-1]}"
        return facts

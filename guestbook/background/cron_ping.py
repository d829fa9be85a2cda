"""Tell a monitor such as healthchecks.io that a pass starts, ends or fails: https://healthchecks.io/docs/http_api/.

The pass never waits for the monitor: the first ping has a thread of its own, and the last one comes after it.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread
from urllib.parse import urlsplit

from guestbook.lib.version import VERSION
from guestbook.settings.parsers import Network
from guestbook.transport import Transport, TransportError, check_destination

PING_TIMEOUT = 10.0  # seconds
PING_BODY_LIMIT = 1000  # characters
PING_HEADERS = {"User-Agent": f"guestbook/{VERSION}", "Content-Type": "text/plain; charset=utf-8"}
log = logging.getLogger(__name__)


class CronPing:
    """The pings of one pass. None of them raises, whatever the monitor does."""

    def __init__(self, url: str, *, allow_networks: Sequence[Network], proxy: str | None) -> None:
        self._url: str | None = url
        self._transport = Transport(timeout=PING_TIMEOUT, allow_networks=allow_networks, proxy=proxy)
        self._first: Thread | None = None
        try:
            check_destination(url, allow_networks=allow_networks)
        except ValueError as error:
            self._url = None
            log.warning("no ping is sent to the monitor. %s", error)

    def start(self) -> None:
        """Say that the pass starts, and do not wait for the answer."""
        first = Thread(target=self._post, args=("/start", ""), name="ping", daemon=True)
        with suppress(RuntimeError, MemoryError):  # this host allows no thread; the end needs none
            first.start()
            self._first = first

    def end(self, failure: str | None) -> None:
        """Say that the pass has ended, or why it failed."""
        if self._first:
            self._first.join(PING_TIMEOUT)  # else the monitor might get the end first
        self._post("/fail" if failure else "", (failure or "")[:PING_BODY_LIMIT])
        self._transport.close()

    def _post(self, suffix: str, body: str) -> None:
        if self._url is None:
            return
        parts = urlsplit(self._url)
        target = parts._replace(path=parts.path.rstrip("/") + suffix).geturl() if suffix else self._url
        try:
            answer = self._transport.post(target, PING_HEADERS, body.encode(errors="replace"))
        except TransportError as error:
            log.info("The ping to the monitor failed: %s", error)
        else:
            log.info("The monitor answered %d.", answer.status)

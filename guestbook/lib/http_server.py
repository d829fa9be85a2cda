"""Serve the app with waitress, within limits that slow or hostile clients cannot use up.

Waitress itself ends a connection only when nothing at all has come for a while, so that a byte now and then
holds one for ever. Here a request must come, and an answer must leave, at some speed. When all connections
are taken, each must have done so within a second.
"""

import logging
import re
import resource
import time
from collections.abc import Callable, Iterable
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import BaseWSGIServer, create_server
from waitress.task import WSGITask

CONNECTIONS = 500
IDLE_SECONDS = 30  # seconds for which a connection may stay open between two requests
# A request may take so long to arrive, and an answer to leave, plus a second for so many bytes.
GRACE_SECONDS = 20.0
BYTES_PER_SECOND = 2000
CROWDED_SECONDS = 1.0  # seconds that a client may be waited for when all connections are taken
HEADER_BYTES = 64 * 1024  # bytes of a request's headers
BODY_BYTES = 11 * 1024 * 1024  # bytes of a request's body, more than any page takes
BODY_IN_MEMORY = 64 * 1024  # bytes of a body; the rest goes into a file, which needs a descriptor
WANTED_DESCRIPTORS = 2048  # A connection may need three.
RESERVED_DESCRIPTORS = 50  # descriptors for the database and Python

LENGTH_FIELD = re.compile(rb"\n(content-length|transfer-encoding):", re.IGNORECASE)
LOG_EVERY = 60  # seconds between two log lines about the same problem

log = logging.getLogger("guestbook.lib.http_server")
Wsgi = Callable[..., Iterable[bytes]]


def listening(app: Wsgi, *, listen: str, threads: int, url_prefix: str) -> tuple[Any, str]:
    """Return a server that listens at `host:port` or `unix:/path`, and its URL; `run` serves until a signal.

    Raises OSError when it cannot listen there, ValueError when that is no address.
    """
    ports = [] if listen.startswith("unix:") else re.findall(r":(\d+)(?!\S)", listen)
    if any(int(port) > 65535 for port in ports):  # The system would take it modulo 65536.
        raise ValueError("A port is at most 65535.")
    sockets: dict[int, Any] = {}
    server = create_server(
        app,
        sockets,
        **{"unix_socket": listen[5:]} if listen.startswith("unix:") else {"listen": listen},
        threads=threads,
        url_prefix=url_prefix,
        connection_limit=connections(),
        channel_timeout=IDLE_SECONDS,
        max_request_header_size=HEADER_BYTES,
        max_request_body_size=BODY_BYTES,
        inbuf_overflow=BODY_IN_MEMORY,
        asyncore_use_poll=True,  # select() ends at descriptor 1,023.
        clear_untrusted_proxy_headers=False,  # The app knows its proxies.
    )
    logging.getLogger("waitress").setLevel(logging.ERROR)  # Its warnings would fill a disk.
    listeners = [one for one in sockets.values() if isinstance(one, BaseWSGIServer)]
    for one in listeners:
        one.channel_class = _Channel
    return server, ", ".join(_url(one.effective_host, one.effective_port) for one in listeners)


def _url(host: str, port: str) -> str:
    if host == "unix":
        return f"unix:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def connections() -> int:
    """Return how many connections at once the host's limit of open files allows, after asking it for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS
    wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(WANTED_DESCRIPTORS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(2, min(CONNECTIONS, (soft - RESERVED_DESCRIPTORS) // 3))


class _StrictParser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """The head of a request. A wrong one gets a 400, and its connection ends."""

    def parse_header(self, header_plus: bytes) -> None:
        """Read the head; refuse one about whose end a proxy may have another opinion (RFC 9112, 6.1)."""
        try:
            super().parse_header(header_plus)
        except ValueError:  # Waitress lets through what int() and urlsplit() raise.
            raise ParsingError("Content-Length or the address is invalid") from None
        fields = {name.lower() for name in LENGTH_FIELD.findall(header_plus)}
        if b"transfer-encoding" in fields and (len(fields) > 1 or self.version != "1.1"):
            raise ParsingError("Transfer-Encoding stands beside Content-Length, or is not of HTTP/1.1")


class _Task(WSGITask):  # type: ignore[misc]  # waitress has no types
    """One request. After an answer without a body, as a 304, waitress would close the connection."""

    def set_close_on_finish(self) -> None:
        """Close the connection after the answer, where its end or the client asks for that."""
        is_last = self.request.headers.get("CONNECTION", "").lower() == "close"
        if self.has_body or is_last or self.version != "1.1":
            super().set_close_on_finish()


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that ends when its client is too slow."""

    parser_class = _StrictParser
    task_class = _Task
    tell_at = 0.0  # the next log line may come then, on the monotonic clock
    _since = 0.0  # when the wait for the client began
    _bytes = 0  # bytes of the request, or of the answer that is to leave
    _waits_for: object = "nothing yet"

    def received(self, data: bytes) -> Any:
        """Read data, and count it."""
        self._bytes += len(data)
        return super().received(data)

    def readable(self) -> bool:
        """Say whether to read on. Waitress asks before each wait for news, at least once a second."""
        waits_for = "a thread" if self.requests else "an answer" if self.total_outbufs_len else self.request
        if waits_for is not self._waits_for:
            self._waits_for, self._since, self._bytes = waits_for, time.monotonic(), self.total_outbufs_len
        elif waits_for != "a thread" and time.monotonic() > self._since + self._patience():
            self.will_close = True
        readable: bool = super().readable()
        return readable

    def _patience(self) -> float:
        """Return for how many seconds the client may be waited for."""
        extra = self._bytes / BYTES_PER_SECOND
        patience = GRACE_SECONDS + extra if self._waits_for else float(IDLE_SECONDS)
        if len(self._map) < self.adj.connection_limit or patience < CROWDED_SECONDS + extra:
            return patience
        if (now := time.monotonic()) >= _Channel.tell_at:
            _Channel.tell_at = now + LOG_EVERY
            log.warning("All %d connections are taken: the slowest are closed.", self.adj.connection_limit)
        return CROWDED_SECONDS + extra

"""Serve the app with waitress, within limits that slow or hostile clients cannot use up.

Waitress itself ends a connection only when nothing at all has come for a while, so that a byte now and then
holds one for ever. Here a request must come, and an answer must leave, at some speed; and when all
connections are taken, those that have waited longest make room for new visitors.
"""

import logging
import re
import resource
import time
from collections.abc import Callable, Iterable
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer, UnixWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask

CONNECTIONS = 500  # at once
IDLE_SECONDS = 30  # seconds for which a connection may stay open between two requests
GRACE_SECONDS = 20.0  # seconds that a request may take to arrive, and an answer to leave,
BYTES_PER_SECOND = 2000  # and a second more for so many bytes
FREED_PART = 10  # one connection in so many is closed when all are taken
HEADER_BYTES = 64 * 1024  # bytes of a request's headers
BODY_BYTES = 11 * 1024 * 1024  # bytes of a request's body, more than any page takes
BODY_IN_MEMORY = 64 * 1024  # bytes of a body; the rest goes into a file, which needs a descriptor
WANTED_DESCRIPTORS = 2048  # a connection may need three
RESERVED_DESCRIPTORS = 50  # descriptors for the database and Python

LENGTH_FIELD = re.compile(rb"\n(content-length|transfer-encoding):", re.IGNORECASE)
LOG_EVERY = 60  # seconds between two log lines about the same problem

log = logging.getLogger("guestbook.lib.http_server")
Wsgi = Callable[..., Iterable[bytes]]


def listening(app: Wsgi, *, listen: str, threads: int, url_prefix: str) -> tuple[Any, str]:
    """Return a server that listens at `host:port` or `unix:/path`, and its URL; `run` serves until a signal.

    Raises OSError when it cannot listen there, ValueError when that is no address.
    """
    kind, path = (_UnixServer, listen[5:]) if listen.startswith("unix:") else (_TcpServer, None)
    settings = Adjustments(
        **{"unix_socket": path} if path else {"listen": listen},
        threads=threads,
        url_prefix=url_prefix,
        connection_limit=connections(),
        channel_timeout=IDLE_SECONDS,
        cleanup_interval=1,
        max_request_header_size=HEADER_BYTES,
        max_request_body_size=BODY_BYTES,
        inbuf_overflow=BODY_IN_MEMORY,
        asyncore_use_poll=True,  # select() ends at descriptor 1,023
        clear_untrusted_proxy_headers=False,  # the app knows its proxies
    )
    logging.getLogger("waitress").setLevel(logging.ERROR)  # its warnings would fill a disk
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(threads)
    map_: dict[int, Any] = {}
    places = [None] if path else settings.listen
    servers = [kind(app, map_, dispatcher=dispatcher, adj=settings, sockinfo=place) for place in places]
    return servers[0], ", ".join(_named(server) for server in servers)


def connections() -> int:
    """Return how many connections at once the host's limit of open files allows, after asking it for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(WANTED_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS
    return max(2, min(CONNECTIONS, (soft - RESERVED_DESCRIPTORS) // 3))


class _StrictParser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """The head of a request. A wrong one gets a 400, and its connection ends."""

    def parse_header(self, header_plus: bytes) -> None:
        """Read the head; refuse one about whose end a proxy may have another opinion (RFC 9112, 6.1)."""
        try:
            super().parse_header(header_plus)
        except ValueError:  # waitress lets through what int() and urlsplit() raise
            raise ParsingError("Content-Length or the address is invalid") from None
        fields = {name.lower() for name in LENGTH_FIELD.findall(header_plus)}
        if b"transfer-encoding" in fields and (len(fields) > 1 or self.version != "1.1"):
            raise ParsingError("Transfer-Encoding stands beside Content-Length, or is not of HTTP/1.1")


class _Task(WSGITask):  # type: ignore[misc]  # waitress has no types
    """One request. After an answer without a body, as a 304, waitress would close the connection."""

    def build_response_header(self) -> bytes:
        """Let the headers wait for the first part of the body: sent alone, they take as long as both."""
        self.channel.head = super().build_response_header()
        return b""

    def finish(self) -> None:
        """End the answer."""
        super().finish()
        self.channel.send_head()  # of one without a body

    def set_close_on_finish(self) -> None:
        """Close the connection after the answer, where its end or the client asks for that."""
        is_last = self.request.headers.get("CONNECTION", "").lower() == "close"
        if self.has_body or is_last or self.version != "1.1":
            super().set_close_on_finish()


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that knows how long it has waited for its client."""

    parser_class = _StrictParser
    task_class = _Task
    began = 0.0  # when the first byte of the request that is not complete came
    got = 0  # bytes of it
    leaves_since = 0.0  # when the answer was ready to leave, 0 when none is
    to_leave = 0  # bytes of it
    head = b""  # the headers of an answer, before they leave
    _seen: object = None

    def received(self, data: bytes) -> Any:
        """Read data, and note to which request it belongs."""
        result = super().received(data)
        if self.request is not self._seen:
            self._seen, self.began, self.got = self.request, time.time(), 0
        self.got += len(data)
        return result

    def write_soon(self, data: Any) -> int:
        """Send a part of an answer, the first one with the headers."""
        if data == b"":
            return 0
        if isinstance(data, bytes):
            data, self.head = self.head + data, b""
        else:
            self.send_head()  # before a file
        sent: int = super().write_soon(data)
        return sent

    def send_head(self) -> None:
        """Send the headers that no part of the body has taken along."""
        head, self.head = self.head, b""
        if head:
            super().write_soon(head)

    def look(self, now: float) -> None:
        """Note whether an answer waits for the client to take it."""
        if self.requests or not self.total_outbufs_len:
            self.leaves_since = 0.0
        elif not self.leaves_since:
            self.leaves_since, self.to_leave = now, self.total_outbufs_len

    def waits_since(self) -> float | None:
        """Return the start of the wait for the client; None while a thread works for it."""
        if self.requests:
            return None
        if self.leaves_since:
            return self.leaves_since
        return self.last_activity if self.request is None else self.began

    def is_late(self, now: float) -> bool:
        """Whether the client has been too slow."""
        since = self.waits_since()
        if since is None:
            return False
        if self.leaves_since:
            return now > since + GRACE_SECONDS + self.to_leave / BYTES_PER_SECOND
        return now > since + (
            IDLE_SECONDS if self.request is None else GRACE_SECONDS + self.got / BYTES_PER_SECOND
        )


class _ConnectionLimits:
    """The part that both kinds of server add to waitress."""

    channel_class = _Channel
    active_channels: dict[int, _Channel]
    _map: dict[int, object]
    adj: Any
    tell_at = 0.0  # on the monotonic clock

    def readable(self) -> bool:
        """Say whether another connection may be accepted; make room when there is none."""
        if len(self._map) >= self.adj.connection_limit:
            self._make_room()
        result: bool = super().readable()  # type: ignore[misc]  # of waitress's server
        return result

    def maintenance(self, now: float) -> None:
        """Close the connections whose clients are too slow."""
        for channel in self.active_channels.values():
            channel.look(now)
            if channel.is_late(now):
                channel.will_close = True

    def _make_room(self) -> None:
        channels = self.active_channels.values()
        if any(channel.will_close for channel in channels):
            return
        waiting = [(since, channel) for channel in channels if (since := channel.waits_since()) is not None]
        waiting.sort(key=lambda one: one[0])
        for _, channel in waiting[: 1 + len(waiting) // FREED_PART]:
            channel.will_close = True
        if (now := time.monotonic()) >= self.tell_at:
            self.tell_at = now + LOG_EVERY
            log.warning("All %d connections are taken: the slowest are closed.", self.adj.connection_limit)


class _TcpServer(_ConnectionLimits, TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Listens on a port."""


class _UnixServer(_ConnectionLimits, UnixWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Listens on a socket file."""


def _named(server: Any) -> str:
    host, port = server.effective_host, server.effective_port
    if isinstance(server, _UnixServer):
        return f"unix:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

"""Our connections and pools: urllib3's, except that they check addresses, have a budget and send once."""

import contextlib
import queue
import re
import select
import socket
import ssl
from collections import deque
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from guestbook.transport import response_reader, socket_budget, tcp_connect
from guestbook.transport.failure import TransportError
from guestbook.transport.response_reader import Response, ShortAnswer

TUNNEL_STATUS = re.compile(r"Tunnel connection failed: (\d+)")


class _ExchangeMixin:
    """The part that HTTP and HTTPS connections share."""

    sock: Any
    _polled: Any = None  # the socket that `_poll` looks at
    _poll: Any = None

    def _new_conn(self: Any) -> socket.socket:
        connect = tcp_connect.connect_to_proxy if self.proxy else tcp_connect.connect
        return connect(self.host, self.port)

    @property
    def is_connected(self) -> bool:
        """Whether the other side has neither closed the connection nor sent something unasked.

        Meanwhile another thread may close it, to make room for a newer one.
        """
        if (sock := self.sock) is None:
            return False
        if self._polled is not sock:
            poll = select.poll()
            try:
                poll.register(sock, select.POLLIN)
            except ValueError:  # it is closed
                return False
            self._polled, self._poll = sock, poll
        return not self._poll.poll(0)

    def exchange(self, message: bytes, method: str) -> Response | ShortAnswer:
        """Send one request and read the head of its answer; raises TransportError."""
        attempt = socket_budget.current.get()
        try:
            attempt.stage = socket_budget.SENDING
            # A receiver may answer and close before it has read all: then its answer counts.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.sock.sendall(message)
            attempt.stage = socket_budget.WAITING
            return response_reader.answer(self.sock, method)
        except ssl.SSLError as error:  # TLS 1.3 refuses a client only now
            raise attempt.error("tls_failed", _tls_reason(error)) from None
        except OSError as error:
            raise attempt.error("connection_lost", error.strerror or "") from None


class GuardedConnection(_ExchangeMixin, HTTPConnection):
    """A connection to an address that was checked, or to the operator's proxy; `host` stays the name."""


class GuardedTLSConnection(_ExchangeMixin, HTTPSConnection):
    """The same over TLS, perhaps through the proxy: SNI and the certificate are about the receiver's name."""

    def connect(self) -> None:
        """Connect and shake hands; raises TransportError."""
        try:
            super().connect()
        except ssl.SSLCertVerificationError as error:
            raise _tls_failed(error.verify_message) from None
        except ssl.SSLError as error:
            raise _tls_failed(_tls_reason(error)) from None
        except OSError as error:
            raise _tls_failed(error.strerror or "connection lost") from None

    def _tunnel(self) -> None:
        attempt = socket_budget.current.get()
        try:
            super()._tunnel()
        except OSError as error:
            status = TUNNEL_STATUS.search(str(error))
            reason = "proxy_failed" if not status or status[1] == "407" else "proxy_gave_up"
            reason = "proxy_refused" if status and status[1] == "403" else reason
            raise TransportError(reason, f"it answered {status[1]}" if status else "") from None
        except TransportError:  # perhaps the receiver does not answer it
            raise TransportError("proxy_gave_up", "it did not answer in time") from None
        except Exception:  # its answer was not HTTP
            raise TransportError("proxy_failed") from None
        attempt.sent = False  # CONNECT is not yet the request
        attempt.stage = socket_budget.HANDSHAKING


class IdleStack:
    """What urllib3 needs of a queue.LifoQueue to keep a host's idle connections in, without its locks."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[Any] = deque()

    def get(self, block: bool = False, timeout: float | None = None) -> Any:  # noqa: ARG002  LifoQueue's
        """Take the newest; raises queue.Empty."""
        try:
            return self._waiting.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, one: Any, block: bool = False) -> None:  # noqa: ARG002  LifoQueue's
        """Keep one more, or close it: urllib3 would log a warning, which cron mails to the owner."""
        if len(self._waiting) < self._most:
            self._waiting.append(one)
        else:
            one.close()

    def qsize(self) -> int:
        """Return how many there are."""
        return len(self._waiting)


class _PoolMixin:
    """The part that HTTP and HTTPS pools share."""

    QueueCls: Any = IdleStack

    def exchange(
        self: Any, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> Response | ShortAnswer:
        """Send one request and read the head of its answer: nothing is sent twice, nothing is followed.

        A proxy gets its own headers with each request that it can see, or else with CONNECT.
        """
        tunnels = self.proxy and (self.host, self.port) != (self.proxy.host, self.proxy.port)
        message = _message(method, target, headers if tunnels else {**headers, **self.proxy_headers}, body)
        connection = self._get_conn()
        self.idle.take(connection)
        try:
            if connection.is_closed and tunnels:
                self._prepare_proxy(connection)  # this connects too
            elif connection.is_closed:
                connection.connect()
            response: Response | ShortAnswer = connection.exchange(message, method)
        except BaseException:
            connection.close()
            raise
        response.pool, response.connection = self, connection
        return response

    def keep(self: Any, connection: Any) -> None:
        """Keep the connection for another request."""
        self.idle.add(connection)
        self._put_conn(connection)
        if connection.is_closed:  # the host has enough
            self.idle.take(connection)


class GuardedPool(_PoolMixin, HTTPConnectionPool):
    """Connections to one host over HTTP, or to the proxy for all hosts."""

    ConnectionCls = GuardedConnection


class GuardedTLSPool(_PoolMixin, HTTPSConnectionPool):
    """Connections to one host over HTTPS, perhaps tunnels through the proxy."""

    ConnectionCls = GuardedTLSConnection


def _message(method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return the request in one piece, so in one system call and one packet; raises TransportError."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if not _is_fit(lines, len(headers)):
        raise TransportError("bad_header")
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii") + body


def _is_fit(lines: str, count: int) -> bool:
    """Whether there are so many lines, and nothing else in them that a terminal would obey but tabs."""
    text = lines.replace("\r\n", "").replace("\t", "")
    return lines.count("\n") == lines.count("\r") == count and text.isascii() and text.isprintable()


def _tls_failed(detail: str) -> TransportError:
    attempt = socket_budget.current.get()
    return attempt.error("proxy_failed" if attempt.stage == socket_budget.AT_PROXY else "tls_failed", detail)


def _tls_reason(error: ssl.SSLError) -> str:
    """Return why TLS failed, in words; raises MemoryError, for which no receiver is to blame."""
    if error.reason == "MALLOC_FAILURE":
        raise MemoryError from error
    return (error.reason or "").replace("_", " ").lower()

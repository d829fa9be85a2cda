"""Connections to checked addresses, over TLS and through the proxy, kept between requests.

A name is resolved once, each address is checked, one is connected to, and the peer is checked again. Nothing
here reads the environment, follows a redirect or sends anything twice.
"""

import base64
import os
import re
import select
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from certifi import where
from urllib3.util.ssltransport import SSLTransport

from guestbook.lib import current_process
from guestbook.transport import attempt_budget, urls
from guestbook.transport.attempt_budget import AttemptBudget, BudgetSocket, BudgetTLSSocket
from guestbook.transport.failure import LOCAL_ERRORS, TransportError
from guestbook.transport.http_response import Answer

IDLE_CONNECTIONS = 256  # kept at most, unless this host is known to allow fewer
DEFAULT_PORTS = {"http": 80, "https": 443}
# Possessive, so it takes linear time. A terminal may show these headers: no control character but the tab.
HEADER_LINES = re.compile(r"(?:[\t -~]*+\r\n)*+")


class Route(NamedTuple):
    """Where a connection leads: to a host, or for plain HTTP through a proxy to the proxy."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Route":
        """Return the route to the host of a URL."""
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").replace("%25", "%")  # the zone of an IPv6 address
        return cls(parts.scheme.lower(), host, parts.port or DEFAULT_PORTS[parts.scheme.lower()])


# It puts a whole request on a socket. The check of a receiver also does it slowly, or closes in the middle.
Writer = Callable[[Any, bytes], None]


def send_at_once(sock: Any, message: bytes) -> None:
    """Send a request as all deliveries are sent."""
    sock.sendall(message)


class Connection:
    """An open connection, for one request at a time."""

    __slots__ = ("poll", "route", "sock")

    def __init__(self, route: Route, sock: Any) -> None:
        self.route = route
        self.sock = sock
        self.poll = select.poll()
        self.poll.register(sock, select.POLLIN)

    def exchange(self, message: bytes, method: str, write: Writer = send_at_once) -> Answer:
        """Send one request and read the head of its answer; raises TransportError."""
        attempt = attempt_budget.current.get()
        try:
            attempt.stage = attempt_budget.SENDING
            # A receiver may answer and close before it has read all: then its answer counts.
            with suppress(BrokenPipeError, ConnectionResetError):
                write(self.sock, message)
            attempt.stage = attempt_budget.WAITING
            return Answer(self.sock, method)
        except ssl.SSLError as error:  # TLS 1.3 refuses a client only now
            raise attempt.error("tls_failed", _tls_reason(error)) from None
        except OSError as error:
            raise attempt.error("connection_lost", error.strerror or "") from None


class Connections:
    """Opens connections and keeps the newest ones; shared by all threads."""

    def __init__(self, proxy: str | None, ca_file: str | None) -> None:
        self.proxy = Route.of(proxy) if proxy else None
        self.proxy_headers = _credentials(proxy) if proxy else {}
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._most = IDLE_CONNECTIONS
        self._idle: list[Connection] = []  # oldest first
        self._is_closed = False
        # What is left of a transport that nobody has closed.
        weakref.finalize(self, lambda idle: [connection.sock.close() for connection in idle], self._idle)

    def take(self, route: Route) -> Connection:
        """Return an open connection, the newest of those that wait; raises TransportError."""
        while connection := self._newest(route):
            if not connection.poll.poll(0):  # Else the other side has closed it, or sent something unasked.
                return connection
            connection.sock.close()
        return self._open(route)

    def keep(self, connection: Connection) -> None:
        """Keep a connection for another request."""
        with self._lock:
            self._idle.append(connection)
            self._close_oldest()

    def limit(self, most: int) -> None:
        """Keep no more than so many."""
        with self._lock:
            self._most = min(self._most, most)
            self._close_oldest()

    def halve(self) -> None:
        """Keep half as many from now on: the host allows no more."""
        self.limit(len(self._idle) // 2)

    def close(self) -> None:
        """Close those that wait, and let no new one be made."""
        self._is_closed = True
        self.limit(0)

    def _newest(self, route: Route) -> Connection | None:
        with self._lock:
            if self._is_closed:
                raise TransportError("closed")
            for connection in reversed(self._idle):
                if connection.route == route:
                    self._idle.remove(connection)
                    return connection
        return None

    def _close_oldest(self) -> None:
        while len(self._idle) > self._most:
            self._idle.pop(0).sock.close()

    def _open(self, route: Route) -> Connection:
        proxy = self.proxy
        if "https" in (route.scheme, proxy and proxy.scheme):
            self._tls_context()  # a missing file of authorities is no fault of the host
        try:
            sock: Any = connect_to_own(*proxy[1:], attempt_budget.AT_PROXY) if proxy else connect(*route[1:])
        except TransportError as error:
            raise (
                attempt_budget.current.get().error("proxy_failed", error.detail) if proxy else error
            ) from None
        try:
            if (proxy or route).scheme == "https":
                sock = self._secured(sock, proxy or route)
            if proxy and route != proxy:
                self._tunnel(sock, route)
                sock = self._secured(sock, route)
        except BaseException as error:
            sock.close()
            if isinstance(error, TransportError):
                error.sent = False  # no byte of the request was
            raise
        attempt_budget.current.get().sent = False
        return Connection(route, sock)

    def _secured(self, sock: Any, route: Route) -> Any:
        """Return the socket over TLS: SNI and the certificate are about the receiver's name."""
        context, name = self._tls_context(), route.host.partition("%")[0]
        try:
            if isinstance(sock, ssl.SSLSocket):  # TLS to the proxy is there already
                return SSLTransport(sock, context, name)
            return context.wrap_socket(sock, server_hostname=name)
        except ssl.SSLCertVerificationError as error:
            raise _tls_failed(error.verify_message) from None
        except ssl.SSLError as error:
            raise _tls_failed(_tls_reason(error)) from None
        except OSError as error:
            raise _tls_failed(error.strerror or "connection lost") from None

    def _tunnel(self, sock: Any, route: Route) -> None:
        """Ask the proxy for a tunnel to the host; raises TransportError."""
        host = f"[{route.host}]" if ":" in route.host else route.host
        place = f"{host}:{route.port}"
        attempt = attempt_budget.current.get()
        try:
            sock.sendall(message("CONNECT", place, {"Host": place, **self.proxy_headers}, b""))
            status = Answer(sock, "CONNECT").status
        except TransportError as error:
            if error.reason in ("bad_response", "connection_lost"):
                raise TransportError("proxy_failed") from None
            # Perhaps the receiver does not answer it.
            raise TransportError("proxy_gave_up", "it did not answer in time") from None
        except OSError:
            raise TransportError("proxy_failed") from None
        if not 200 <= status < 300:
            reason = {403: "proxy_refused", 407: "proxy_failed"}.get(status, "proxy_gave_up")
            raise TransportError(reason, f"it answered {status}")
        attempt.stage = attempt_budget.HANDSHAKING

    def _tls_context(self) -> ssl.SSLContext:
        """Return the context of all connections; made late, because loading the authorities takes long."""
        with self._lock:
            if self._context is None:
                self._context = _tls_context(self._ca_file or os.environ.get("SSL_CERT_FILE") or where())
            return self._context


def message(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the request in one piece, so in one system call and one packet; raises TransportError."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if not HEADER_LINES.fullmatch(lines) or lines.count("\n") != len(headers):
        raise TransportError("bad_header")
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii") + body


def _credentials(proxy: str) -> dict[str, str]:
    """Return the header for the user and the password of the proxy's URL."""
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode('latin-1')).decode()}"}


def _tls_context(ca_file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # create_default_context obeys SSLKEYLOGFILE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = BudgetTLSSocket
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:
        reason = "out_of_sockets" if error.errno in LOCAL_ERRORS else "no_authorities"
        raise TransportError(reason, error.strerror or "") from None
    return context


def _tls_failed(detail: str) -> TransportError:
    attempt = attempt_budget.current.get()
    return attempt.error("proxy_failed" if attempt.stage == attempt_budget.AT_PROXY else "tls_failed", detail)


def _tls_reason(error: ssl.SSLError) -> str:
    """Return why TLS failed, in words; raises MemoryError, for which no receiver is to blame."""
    if error.reason == "MALLOC_FAILURE":
        raise MemoryError from error
    return (error.reason or "").replace("_", " ").lower()


ADDRESSES_TRIED = 3  # addresses of a name that are tried

SocketAddress = tuple[socket.AddressFamily, Any]


def connect(host: str, port: int) -> BudgetSocket:
    """Return a socket connected to an admitted address of the host; raises TransportError."""
    attempt = attempt_budget.current.get()
    attempt.stage = attempt_budget.CONNECTING
    if literal := urls.literal(host):  # it needs no look-up
        _check(attempt, (str(literal), port))
    addresses = _resolve(attempt, host, port)
    for _, address in addresses:
        _check(attempt, address)
    sock = _connect_first(attempt, addresses[:ADDRESSES_TRIED])
    try:
        _check(attempt, sock.getpeername())
    except TransportError:
        sock.close()
        raise
    except OSError:  # the peer has closed it already
        sock.close()
        raise attempt.error("connect_failed") from None
    attempt.stage = attempt_budget.HANDSHAKING
    return sock


def connect_to_own(host: str, port: int, stage: str) -> BudgetSocket:
    """Return a socket connected to the owner's own proxy or mail server, at any address."""
    attempt = attempt_budget.current.get()
    attempt.stage = stage
    return _connect_first(attempt, _resolve(attempt, host, port)[:ADDRESSES_TRIED])


def _resolve(attempt: AttemptBudget, host: str, port: int) -> list[SocketAddress]:
    seconds = attempt.left()
    try:
        if urls.literal(host):  # this cannot block, so it needs no thread
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        else:
            answers = attempt.lookups.find(host, port, seconds)
    except TimeoutError:
        raise attempt.error("name_timeout") from None
    except MemoryError:
        raise attempt.error("out_of_memory") from None
    except OSError as error:
        raise attempt.error(_why_not_found(error)) from None
    except ValueError:  # an empty or over-long label is a UnicodeError
        raise attempt.error("name_not_found") from None
    if not answers:
        raise attempt.error("name_not_found")
    return [(family, address) for family, _, _, _, address in answers]


def _why_not_found(error: OSError) -> str:
    """Return the reason word. Out of files, the C library says that a name is unknown."""
    if error.errno == socket.EAI_MEMORY:
        return "out_of_memory"
    if current_process.files_are_used_up():
        return "out_of_sockets"
    unknown = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None))
    if isinstance(error, socket.gaierror) and error.errno not in unknown:
        return "name_lookup_failed"
    return "name_not_found"


def _check(attempt: AttemptBudget, address: Any) -> None:
    try:
        admitted = attempt.policy.admits(address[0])
    except OSError as error:  # there is no socket left to find out whether the address is our own
        raise attempt.error("out_of_sockets", error.strerror or "") from None
    if not admitted:
        raise attempt.error("private_address", address[0])
    if address[1] in urls.REFUSED_PORT and not attempt.policy.allows(address[0]):
        raise attempt.error("bad_port", str(address[1]))


def _connect_first(attempt: AttemptBudget, addresses: list[SocketAddress]) -> BudgetSocket:
    """Connect to the first address that answers; each has its share of the time that is left."""
    failure = attempt.error("connect_failed")
    for index, (family, address) in enumerate(addresses):
        seconds = attempt.left() / (len(addresses) - index)
        try:
            return _connect(family, address, seconds)
        except TimeoutError:
            failure = attempt.error("connect_timeout")
        except OSError as error:
            reason = "out_of_sockets" if error.errno in LOCAL_ERRORS else "connect_failed"
            failure = attempt.error(reason, error.strerror or "")
    raise failure


def _connect(family: socket.AddressFamily, address: Any, seconds: float) -> BudgetSocket:
    sock = BudgetSocket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        socket.socket.settimeout(sock, seconds)  # BudgetSocket's own does nothing
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock

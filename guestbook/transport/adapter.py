"""The adapter of requests: its pools, idle connections, the way through a proxy, and where a redirect leads.

The pools in connections.py send, without a Session. So neither the environment nor a redirect changes where
and how we connect, and no cookie is kept.
"""

import os
import ssl
import threading
from typing import Any, NamedTuple, cast
from urllib.parse import urldefrag, urljoin

from certifi import where
from requests.adapters import HTTPAdapter
from urllib3 import ProxyManager

from guestbook.transport.connections import GuardedPool, GuardedTLSPool
from guestbook.transport.failure import LOCAL_ERRORS, TransportError
from guestbook.transport.socket_budget import BudgetTLSSocket

DEFAULT_LIMIT = 256  # connections, unless this host is known to allow fewer


class IdleConnections:
    """Closes the connection that has waited longest when there are too many; shared by all threads."""

    def __init__(self) -> None:
        self._most = DEFAULT_LIMIT
        self._lock = threading.Lock()
        self._waiting: dict[Any, None] = {}  # oldest first

    def add(self, connection: Any) -> None:
        """Note a waiting connection; call this before another thread can take it."""
        with self._lock:
            self._waiting[connection] = None
            self._close_oldest()

    def take(self, connection: Any) -> None:
        """Note that it waits no longer, so it is not closed from now on."""
        with self._lock:
            self._waiting.pop(connection, None)

    def limit(self, most: int) -> None:
        """Keep no more than so many."""
        with self._lock:
            self._most = min(self._most, most)
            self._close_oldest()

    def halve(self) -> None:
        """Keep half as many from now on: the host allows no more."""
        self.limit(len(self._waiting) // 2)

    def _close_oldest(self) -> None:
        while len(self._waiting) > self._most:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.close()  # it stays in its pool, which opens it again


HOSTS_KEPT = 128  # hosts whose idle connections are kept
IDLE_PER_HOST = 64  # idle connections that are kept for each


class RequestTarget(NamedTuple):
    """A URL taken apart, once."""

    pool: GuardedPool | GuardedTLSPool
    host: str  # for the Host header
    line: str  # the target in the request line


class GuardedAdapter(HTTPAdapter):
    """Has the pools, one for each host."""

    def __init__(self, proxy: str | None, ca_file: str | None) -> None:
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self.idle = IdleConnections()
        super().__init__(pool_connections=HOSTS_KEPT, pool_maxsize=IDLE_PER_HOST)
        self._manager = self._proxied(proxy) if proxy else self.poolmanager
        self._manager.pool_classes_by_scheme = {"http": GuardedPool, "https": GuardedTLSPool}

    def pool_for(self, scheme: str, host: str, port: int) -> GuardedPool | GuardedTLSPool:
        """Return the pool of a host, or of the way to it through the proxy."""
        options = {"ssl_context": self.tls_context()} if scheme == "https" else {}
        pool: Any = self._manager.connection_from_host(host, port, scheme, pool_kwargs=options)
        pool.idle = self.idle
        return cast(GuardedPool | GuardedTLSPool, pool)

    def tls_context(self) -> ssl.SSLContext:
        """Return the context of all connections; made late, because loading the authorities takes long."""
        with self._lock:
            if self._context is None:
                self._context = _tls_context(self._ca_file or os.environ.get("SSL_CERT_FILE") or where())
            return self._context

    def _proxied(self, proxy: str) -> ProxyManager:
        options = {"proxy_ssl_context": self.tls_context()} if proxy.lower().startswith("https") else {}
        return cast(ProxyManager, self.proxy_manager_for(proxy, **options))


def _tls_context(ca_file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # not create_default_context: it obeys SSLKEYLOGFILE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = BudgetTLSSocket
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:
        reason = "out_of_sockets" if error.errno in LOCAL_ERRORS else "no_authorities"
        raise TransportError(reason, error.strerror or "") from None
    return context


MOST_REDIRECTS = 5  # from one address to the next, for one page
REDIRECT_STATUSES = (301, 302, 303, 307, 308)


def redirect_target(url: str, status: int, location: str | None) -> str | None:
    """Return the address that an answer leads to, without a fragment; None if it leads nowhere.

    The address is as the stranger wrote it: whoever connects to it checks it first.
    """
    if status not in REDIRECT_STATUSES or not location:
        return None
    try:
        return urldefrag(urljoin(url, _as_utf8(location.strip()))).url
    except ValueError:  # brackets that no host has
        return location


def _as_utf8(location: str) -> str:
    """Return it as most servers mean it. Headers were read as Latin-1, which loses nothing."""
    try:
        return location.encode("iso-8859-1").decode()
    except ValueError:
        return location

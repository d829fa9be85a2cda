"""The adapter of requests, of which we use the pools and the way through a proxy.

The pools in connections.py send, without a Session. So neither the environment nor a redirect changes where
and how we connect, and no cookie is kept.
"""

import os
import ssl
import threading
from typing import Any, NamedTuple, cast

from certifi import where
from requests.adapters import HTTPAdapter
from urllib3 import ProxyManager

from guestbook.transport.connections import GuardedPool, GuardedTLSPool
from guestbook.transport.failure import LOCAL_ERRORS, TransportError
from guestbook.transport.idle_connections import IdleConnections
from guestbook.transport.socket_budget import BudgetTLSSocket

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

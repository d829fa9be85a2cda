"""The pools of the connections to all hosts, straight to them or through the operator's proxy."""

import os
import ssl
import threading
from typing import Any

from certifi import where
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager

from guestbook.transport.connections import GuardedPool, GuardedTLSPool
from guestbook.transport.failure import LOCAL_ERRORS, TransportError
from guestbook.transport.idle_connections import IdleConnections
from guestbook.transport.socket_budget import BudgetTLSSocket

HOSTS_KEPT = 128  # hosts whose idle connections are kept
IDLE_PER_HOST = 64  # idle connections that are kept for each


class HostPools:
    """Makes the pools. An HTTPAdapter of requests makes their manager, with the proxy's password."""

    def __init__(self, proxy: str | None, ca_file: str | None) -> None:
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self.idle = IdleConnections()
        adapter = HTTPAdapter(pool_connections=HOSTS_KEPT, pool_maxsize=IDLE_PER_HOST)
        is_tls = proxy is not None and proxy.lower().startswith("https")
        options = {"proxy_ssl_context": self._tls_context()} if is_tls else {}
        self._manager: PoolManager = adapter.poolmanager
        if proxy is not None:
            self._manager = adapter.proxy_manager_for(proxy, **options)
        self._manager.pool_classes_by_scheme = {"http": GuardedPool, "https": GuardedTLSPool}

    def of(self, scheme: str, host: str, port: int) -> GuardedPool | GuardedTLSPool:
        """Return the pool of a host, or of the way to it through the proxy."""
        options = {"ssl_context": self._tls_context()} if scheme == "https" else {}
        pool: Any = self._manager.connection_from_host(host, port, scheme, pool_kwargs=options)
        pool.idle = self.idle
        found: GuardedPool | GuardedTLSPool = pool
        return found

    def close(self) -> None:
        """Close the idle connections of all pools."""
        self._manager.clear()

    def _tls_context(self) -> ssl.SSLContext:
        """Return the context of all connections; made late, because loading the authorities takes long."""
        with self._lock:
            if self._context is None:
                self._context = _loaded(self._ca_file or os.environ.get("SSL_CERT_FILE") or where())
            return self._context


def _loaded(ca_file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # not create_default_context: it obeys SSLKEYLOGFILE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = BudgetTLSSocket
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:
        reason = "out_of_sockets" if error.errno in LOCAL_ERRORS else "no_authorities"
        raise TransportError(reason, error.strerror or "") from None
    return context

"""Our HTTPAdapter: requests' hooks without what reads the environment or asks anew for each request."""

import os
import ssl
import threading
from typing import Any, cast

import requests
from certifi import where
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, ProxyManager

from guestbook.transport.connections import GuardedPool, GuardedTLSPool, ProxiedPool, ProxiedTLSPool
from guestbook.transport.failure import LOCAL_ERRORS, TransportError
from guestbook.transport.idle_connections import Idle
from guestbook.transport.response_reader import Response
from guestbook.transport.socket_budget import BudgetTLSSocket

HOSTS = 128  # hosts whose idle connections are kept
IDLE = 64  # idle connections that are kept for each


class Post(requests.PreparedRequest):
    """A request made by hand: to let Session.prepare make it costs more than to send it."""

    def __init__(
        self, pool: HTTPConnectionPool, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> None:
        self.pool = pool
        self.method = method
        self.url = target  # as it stands in the request line
        self.headers = cast(Any, headers)  # requests asks only whether Content-Length is among them
        self.body = body


class Received(requests.Response):
    """An answer without the cookie jar, the history and the encoding that nobody asks for."""

    def __init__(self, raw: Response) -> None:
        self.raw: Response = raw


class Adapter(HTTPAdapter):
    """Leads each request to its pool and asks nothing else of requests."""

    def __init__(self, proxy: str | None, ca_file: str | None) -> None:
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self.idle = Idle()
        super().__init__(pool_connections=HOSTS, pool_maxsize=IDLE)
        self.poolmanager.pool_classes_by_scheme = {"http": GuardedPool, "https": GuardedTLSPool}
        self._manager = self._proxied(proxy) if proxy else self.poolmanager

    def pool_for(self, scheme: str, host: str, port: int) -> HTTPConnectionPool:
        """Return the pool of a host, or of the way to it through the proxy."""
        options = {"ssl_context": self.tls_context()} if scheme == "https" else {}
        pool: Any = self._manager.connection_from_host(host, port, scheme, pool_kwargs=options)
        pool.idle = self.idle
        return cast(HTTPConnectionPool, pool)

    def tls_context(self) -> ssl.SSLContext:
        """Return the one context of all connections: a pass over HTTP alone never loads its CAs."""
        with self._lock:
            if self._context is None:
                self._context = _tls_context(self._ca_file or os.environ.get("SSL_CERT_FILE") or where())
            return self._context

    def get_connection_with_tls_context(self, request: Any, *_: Any, **__: Any) -> HTTPConnectionPool:
        """Return the pool that the request brings along."""
        return cast(Post, request).pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Do nothing: the one TLS context checks certificates."""

    def request_url(self, request: Any, *_: Any, **__: Any) -> str:
        """Return what stands in the request line."""
        return cast(str, request.url)

    def build_response(self, _: Any, resp: Any) -> requests.Response:
        """Wrap the answer without reading, decoding or collecting cookies."""
        return Received(resp)

    def _proxied(self, proxy: str) -> ProxyManager:
        options = {"proxy_ssl_context": self.tls_context()} if proxy.lower().startswith("https") else {}
        manager = cast(ProxyManager, self.proxy_manager_for(proxy, **options))
        manager.pool_classes_by_scheme = {"http": ProxiedPool, "https": ProxiedTLSPool}
        return manager


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

"""One request to a stranger's URL, safely: checked addresses, one deadline, few bytes.

Nothing follows a redirect but `Transport.get`, which reads public pages: it checks each address on the way.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from guestbook.transport import addresses, budget, connections
from guestbook.transport.addresses import AddressPolicy, Network
from guestbook.transport.budget import RECEIVED_BODY_LIMIT, AttemptBudget
from guestbook.transport.connections import Connections, Route
from guestbook.transport.failure import FAILURE_SENTENCES, TransportError
from guestbook.transport.urls import (
    HEADER_NAME_PATTERN,
    check_destination,
    check_headers,
    check_url,
    private_address_warning,
    scheme_question,
)

__all__ = [
    "EVERY_NETWORK",
    "FAILURE_SENTENCES",
    "PAGE_LIMIT",
    "RECEIVED_BODY_LIMIT",
    "FetchedPage",
    "ReceiverAnswer",
    "Transport",
    "TransportError",
    "check_destination",
    "check_headers",
    "check_url",
    "private_address_warning",
    "scheme_question",
]

HTTP_METHOD = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}")  # RFC 9110 section 5.6.2
TARGETS_KEPT = 256  # URLs that are taken apart once
EVERY_NETWORK = (ip_network("0.0.0.0/0"), ip_network("::/0"))
PAGE_LIMIT = 1_000_000  # bytes of a page that are read
FRAMING_HEADERS = frozenset(("host", "content-length", "transfer-encoding", "connection"))


@dataclass(frozen=True, slots=True)
class ReceiverAnswer:
    """The answer of a receiver."""

    status: int
    headers: Mapping[str, str]  # as received, at most 16 KiB, looked up in any case
    body: bytes  # at most RECEIVED_BODY_LIMIT, or PAGE_LIMIT of a page; not decompressed
    note: str | None  # why the body ends early: body_cut (too much), body_timeout, body_broken


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A page that was read, and where it was found."""

    url: str  # after redirects
    answer: ReceiverAnswer


class RequestTarget(NamedTuple):
    """A URL taken apart."""

    route: Route
    host: str  # the value of the Host header
    line: str  # the target in the request line


class Transport:
    """Sends requests from any number of threads, over connections that it keeps alive between them."""

    def __init__(
        self,
        *,
        timeout: float = 15.0,  # seconds, for everything in an attempt
        allow_networks: Sequence[Network] = (),
        proxy: str | None = None,
        require_https: bool = False,
        ca_file: str | None = None,
        threads: bool = True,  # whether it may start some
    ) -> None:
        # Let glibc give up on a dead name server after 2 seconds: getaddrinfo itself takes no time-out.
        os.environ.setdefault("RES_OPTIONS", "timeout:2 attempts:1")
        self._timeout = timeout
        self._lookups = addresses.shared if threads else addresses.without_threads
        self._policy = AddressPolicy(allow_networks)
        self._require_https = require_https
        self._connections = Connections(proxy, ca_file)

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, seconds: float | None = None
    ) -> ReceiverAnswer:
        """Send one POST with these headers plus Host and Content-Length; raises TransportError.

        `seconds` is how long it may take, if not as long as usual.
        """
        return self.send("POST", url, headers, body, seconds=seconds)

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        seconds: float | None = None,
        body_limit: int = RECEIVED_BODY_LIMIT,
    ) -> ReceiverAnswer:
        """Send one request of any method but CONNECT, otherwise as `post`."""
        attempt = AttemptBudget(seconds or self._timeout, self._policy, self._lookups, body_limit)
        return self._exchange(attempt, method, url, headers, body)

    def get(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        seconds: float | None = None,
        before: Callable[[str], None] = lambda _url: None,
    ) -> FetchedPage:
        """Read a page with one GET, and one more for each redirect; raises TransportError.

        All of them share the time. The address of each is checked as that of the first. `before` gets each
        URL first, and may raise TransportError.
        """
        from guestbook.transport import pages  # here: deliveries need no requests, which takes long to import

        adapter = pages.PageAdapter(self._page, seconds or self._timeout, before)
        return FetchedPage(*pages.read(adapter, url, headers))

    def _page(self, url: str, headers: Mapping[str, str], seconds: float) -> ReceiverAnswer:
        attempt = AttemptBudget(seconds, self._policy, self._lookups, PAGE_LIMIT)
        return self._exchange(attempt, "GET", url, headers, b"")

    def _exchange(
        self, attempt: AttemptBudget, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> ReceiverAnswer:
        token = budget.current.set(attempt)
        try:
            allowed, proxy = self._policy.allow_networks, self._connections.proxy
            return self._send(method, _target(url, self._require_https, allowed, proxy), headers, body)
        except (MemoryError, TransportError) as error:
            failure = attempt.error("out_of_memory") if isinstance(error, MemoryError) else error
            if failure.limit:
                self._connections.halve()
            raise failure from None
        finally:
            budget.current.reset(token)

    def _send(
        self, method: str, target: RequestTarget, headers: Mapping[str, str], body: bytes
    ) -> ReceiverAnswer:
        if refusal := _refusal(method, tuple(headers)):
            raise TransportError(refusal)
        complete = {"Host": target.host, **headers, "Content-Length": str(len(body))}
        if target.route == self._connections.proxy:  # it sees the request
            complete |= self._connections.proxy_headers
        message = connections.message(method, target.line, complete, body)
        connection = self._connections.take(target.route)
        try:
            answer = connection.exchange(message, method)
            content, note = answer.read_body()
        except BaseException:
            connection.sock.close()
            raise
        if answer.is_reusable:
            self._connections.keep(connection)
        else:
            connection.sock.close()
        return ReceiverAnswer(answer.status, answer.fields, content, note)

    def limit(self, *, connections: int, lookups: int | None = None) -> None:
        """Keep at most so many idle connections, and make at most so many look-ups at once."""
        self._connections.limit(connections)
        if lookups is not None:
            self._lookups.limit(lookups)

    def close(self) -> None:
        """Close all connections: idle ones now, busy ones at the end of their attempt."""
        self._connections.close()


@lru_cache(TARGETS_KEPT)
def _target(
    url: str, require_https: bool, allowed: tuple[Network, ...], proxy: Route | None
) -> RequestTarget:
    try:
        normal = check_url(url, require_https=require_https, allow_networks=allowed)
    except ValueError as error:
        raise TransportError("bad_url", str(error)) from None
    netloc = urlsplit(normal).netloc
    if proxy and normal.startswith("http:"):
        return RequestTarget(proxy, netloc, normal)
    return RequestTarget(Route.of(normal), netloc, normal.partition("://")[2].removeprefix(netloc))


@lru_cache(maxsize=1024)
def _refusal(method: str, names: tuple[str, ...]) -> str | None:
    """Return the reason word if a request with this method and these names of headers cannot be sent."""
    if not HTTP_METHOD.fullmatch(method) or method.upper() == "CONNECT":  # CONNECT opens tunnels
        return "bad_method"
    are_names = all(HEADER_NAME_PATTERN.fullmatch(name) for name in names)
    are_ours = FRAMING_HEADERS.isdisjoint(name.lower() for name in names)
    return None if are_names and are_ours else "bad_header"

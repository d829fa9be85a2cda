"""One request to a stranger's URL, safely: checked addresses, one deadline, few bytes.

Nothing follows a redirect but `Transport.get`, which reads public pages: it checks each address on the way.
"""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urldefrag, urljoin, urlsplit

from guestbook.transport import addresses, attempt_budget, connections
from guestbook.transport.addresses import AddressPolicy, Network
from guestbook.transport.attempt_budget import RECEIVED_BODY_LIMIT, AttemptBudget
from guestbook.transport.connections import Connections, Route, Writer, send_at_once
from guestbook.transport.failure import TransportError
from guestbook.transport.urls import HEADER_NAME_PATTERN, NOT_IN_URLS, check_url

HTTP_METHOD = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}")  # RFC 9110 section 5.6.2
TARGETS_KEPT = 256  # URLs that are taken apart once
PAGE_LIMIT = 1_000_000  # bytes of a page that are read
REDIRECTS, MOST_REDIRECTS = (301, 302, 303, 307, 308), 5  # from one address to the next, for one page
FRAMING_HEADERS = frozenset(("host", "content-length", "transfer-encoding", "connection"))


class ReceiverAnswer(NamedTuple):
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
        write: Writer = send_at_once,
    ) -> ReceiverAnswer:
        """Send one request of any method but CONNECT, otherwise as `post`.

        `write` puts it on the socket. An exception of its own closes the connection and goes to the caller.
        """
        attempt = AttemptBudget(seconds or self._timeout, self._policy, self._lookups, body_limit)
        token = attempt_budget.current.set(attempt)
        try:
            return self._exchange(method, url, headers, body, write)
        except (MemoryError, TransportError) as error:
            failure = attempt.error("out_of_memory") if isinstance(error, MemoryError) else error
            if failure.limit:
                self._connections.halve()
            raise failure from None
        finally:
            attempt_budget.current.reset(token)

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
        until = time.monotonic() + (seconds or self._timeout)
        for _ in range(MOST_REDIRECTS + 1):
            before(url)
            left = max(until - time.monotonic(), 0.001)
            answer = self.send("GET", url, headers, b"", seconds=left, body_limit=PAGE_LIMIT)
            place = answer.headers.get("location")
            if not place or answer.status not in REDIRECTS:
                return FetchedPage(url, answer)
            try:  # Servers send UTF-8 there, and blanks.
                place = NOT_IN_URLS.sub(lambda found: quote(found[0]), place.encode("latin-1").decode())
                url = urldefrag(urljoin(url, place)).url
            except ValueError:
                raise TransportError("bad_url", "the address of a redirect is not valid") from None
        raise TransportError("too_many_redirects", sent=True)

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, write: Writer
    ) -> ReceiverAnswer:
        proxy = self._connections.proxy
        route, host, line = _target(url, self._require_https, self._policy.allow_networks, proxy)
        if refusal := _refusal(method, tuple(headers)):
            raise TransportError(refusal)
        complete = {"Host": host, **headers, "Content-Length": str(len(body))}
        if route == proxy:  # it sees the request
            complete |= self._connections.proxy_headers
        message = connections.message(method, line, complete, body)
        connection = self._connections.take(route)
        try:
            answer = connection.exchange(message, method, write)
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
) -> tuple[Route, str, str]:
    """Take a URL apart: the route, the value of the Host header, and the target in the request line."""
    try:
        normal = check_url(url, require_https=require_https, allow_networks=allowed)
    except ValueError as error:
        raise TransportError("bad_url", str(error)) from None
    netloc = urlsplit(normal).netloc
    if proxy and normal.startswith("http:"):
        return proxy, netloc, normal
    return Route.of(normal), netloc, normal.partition("://")[2].removeprefix(netloc)


@lru_cache(maxsize=1024)
def _refusal(method: str, names: tuple[str, ...]) -> str | None:
    """Return the reason word if a request with this method and these names of headers cannot be sent."""
    if not HTTP_METHOD.fullmatch(method) or method.upper() == "CONNECT":  # CONNECT opens tunnels
        return "bad_method"
    are_names = all(HEADER_NAME_PATTERN.fullmatch(name) for name in names)
    are_ours = FRAMING_HEADERS.isdisjoint(name.lower() for name in names)
    return None if are_names and are_ours else "bad_header"

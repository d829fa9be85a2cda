"""One request to a stranger's URL, safely: checked addresses, one deadline, few bytes.

Nothing follows a redirect but `Transport.get`, which reads public pages: it checks each address on the way.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError

from guestbook.transport import adapter, dns_lookup, socket_budget, tcp_connect
from guestbook.transport.adapter import GuardedAdapter, RequestTarget
from guestbook.transport.address_policy import AddressPolicy
from guestbook.transport.destinations import check_destination, private_address_warning
from guestbook.transport.failure import FAILURE_SENTENCES, TransportError
from guestbook.transport.response_reader import Response, ShortAnswer
from guestbook.transport.socket_budget import RECEIVED_BODY_LIMIT, AttemptBudget
from guestbook.transport.url_checks import HEADER_NAME_PATTERN, check_headers, check_url, scheme_question

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
TARGETS_KEPT = 256  # URLs
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


class Transport:
    """Sends requests from any number of threads, over connections that it keeps alive between them."""

    def __init__(
        self,
        *,
        timeout: float = 15.0,  # seconds, for everything in an attempt
        allow_networks: Sequence[IPv4Network | IPv6Network] = (),
        proxy: str | None = None,
        require_https: bool = False,
        ca_file: str | None = None,
        threads: bool = True,  # whether it may start some
    ) -> None:
        tcp_connect.limit_resolver()
        self._timeout = timeout
        self._lookups = dns_lookup.shared if threads else dns_lookup.without_threads
        self._policy = AddressPolicy(allow_networks)
        self._proxied = proxy is not None
        self._require_https = require_https
        self._adapter = GuardedAdapter(proxy, ca_file)
        self._targets: dict[str, RequestTarget] = {}

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
        until = time.monotonic() + (seconds or self._timeout)
        for _ in range(adapter.MOST_REDIRECTS + 1):
            before(url)
            left = max(until - time.monotonic(), 0)
            attempt = AttemptBudget(left, self._policy, self._lookups, PAGE_LIMIT)
            answer = self._exchange(attempt, "GET", url, headers, b"")
            following = adapter.redirect_target(url, answer.status, answer.headers.get("location"))
            if following is None:
                return FetchedPage(url, answer)
            url = following
        raise TransportError("too_many_redirects", sent=True)

    def _exchange(
        self, attempt: AttemptBudget, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> ReceiverAnswer:
        token = socket_budget.current.set(attempt)
        try:
            response = self._send(method, self._targets.get(url) or self._target(url), headers, body)
            try:
                content, note = response.read_body()
            finally:
                response.release()
        except (OSError, HTTPError):  # never our own errors: the pool was closed
            raise attempt.error("closed") from None
        except (MemoryError, TransportError) as error:
            failure = attempt.error("out_of_memory") if isinstance(error, MemoryError) else error
            if failure.limit:
                self._adapter.idle.halve()
            raise failure from None
        finally:
            socket_budget.current.reset(token)
        return ReceiverAnswer(response.status, response.fields, content, note)

    def limit(self, *, connections: int, lookups: int | None = None) -> None:
        """Keep at most so many idle connections, and make at most so many look-ups at once."""
        self._adapter.idle.limit(connections)
        if lookups is not None:
            self._lookups.limit(lookups)

    def close(self) -> None:
        """Close all connections: idle ones now, busy ones at the end of their attempt."""
        while self._targets:
            self._targets.popitem()[1].pool.close()
        self._adapter.close()

    def _send(
        self, method: str, target: RequestTarget, headers: Mapping[str, str], body: bytes
    ) -> Response | ShortAnswer:
        if refusal := _refusal(method, tuple(headers)):
            raise TransportError(refusal)
        complete = {"Host": target.host, **headers, "Content-Length": str(len(body))}
        return target.pool.exchange(method, target.line, complete, body)

    def _target(self, url: str) -> RequestTarget:
        try:
            allowed = self._policy.allow_networks
            normal = check_url(url, require_https=self._require_https, allow_networks=allowed)
        except ValueError as error:
            raise TransportError("bad_url", str(error)) from None
        parts = urlsplit(normal)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = parts.netloc.removesuffix(f":{port}")  # urllib3 wants the brackets of IPv6
        forwarded = self._proxied and parts.scheme == "http"
        line = normal if forwarded else normal.partition("://")[2].removeprefix(parts.netloc)
        target = RequestTarget(self._adapter.pool_for(parts.scheme, host, port), parts.netloc, line)
        while len(self._targets) >= TARGETS_KEPT:
            oldest = next(iter(tuple(self._targets)))  # copied at once: other threads add some
            self._targets.pop(oldest, None)
        self._targets[url] = target
        return target


@lru_cache(maxsize=1024)
def _refusal(method: str, names: tuple[str, ...]) -> str | None:
    """Return the reason word if a request with this method and these names of headers cannot be sent."""
    if not HTTP_METHOD.fullmatch(method) or method.upper() == "CONNECT":  # for proxies: it opens tunnels
        return "bad_method"
    are_names = all(HEADER_NAME_PATTERN.fullmatch(name) for name in names)
    are_ours = FRAMING_HEADERS.isdisjoint(name.lower() for name in names)
    return None if are_names and are_ours else "bad_header"

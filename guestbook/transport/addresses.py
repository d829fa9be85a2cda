"""The IP addresses that a stranger's URL may make us connect to, and how names are looked up.

getaddrinfo has no time-out: it blocks as long as dead name servers do. So a few threads make the look-ups.
Attempts that want the same name share one look-up. Where no thread may be started, the attempt makes its own
look-up, and only the resolver's own time-outs bound it.
"""

import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from guestbook.lib import current_process
from guestbook.transport.failure import LOCAL_ERRORS

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's IPv4 special-purpose registry (RFC 6890), and other addresses that are no public host.
REFUSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # carrier NAT, RFC 6598; Alibaba's metadata
        "127.0.0.0/8",  # loopback, RFC 1122
        "168.63.129.16/32",  # Azure's platform address, in public space
        "169.254.0.0/16",  # link-local, RFC 3927; metadata of most clouds
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # protocol assignments, RFC 6890; Oracle's metadata
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.31.196.0/24",  # AS112, RFC 7535
        "192.52.193.0/24",  # AMT, RFC 7450
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "192.175.48.0/24",  # AS112, RFC 7534
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved and broadcast, RFC 1112, RFC 919
    )
)

# Only global unicast (RFC 4291) is admitted: loopback, link-local, ULA, multicast and the rest lie outside.
ADMITTED_V6 = IPv6Network("2000::/3")
REFUSED_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, RFC 2928; Teredo (RFC 4380) and ORCHID (RFC 7343) among them
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056: any IPv4 address may be inside
        "2620:4f:8000::/48",  # AS112, RFC 7534
        "3fff::/20",  # documentation, RFC 9637
    )
)

# The last 32 bits of these IPv6 addresses are the IPv4 address that a connection really reaches.
WRAPPED_V4 = (
    IPv6Network("::ffff:0:0/96"),  # IPv4-mapped, RFC 4291
    IPv6Network("64:ff9b::/96"),  # NAT64, RFC 6052
)


class AddressPolicy:
    """Admits public addresses, and private ones of the networks that the operator allows."""

    def __init__(self, allow_networks: Sequence[Network] = ()) -> None:
        self.allow_networks = tuple(allow_networks)

    def admits(self, text: str) -> bool:
        """Whether a connection to this IP address (with or without a zone) may be made."""
        address = unwrap(ip_address(text.partition("%")[0]))
        return self.allows(text) or (is_public(address) and not is_own(address))

    def allows(self, text: str) -> bool:
        """Whether the operator allows the network of this IP address."""
        address = unwrap(ip_address(text.partition("%")[0]))
        return any(
            address in network for network in self.allow_networks if network.version == address.version
        )

    def may_allow(self, host: str) -> bool:
        """Whether the operator may allow the network of this host: a name is not looked up yet."""
        try:
            return self.allows(host)
        except ValueError:  # a name
            return bool(self.allow_networks)


def unwrap(address: Address) -> Address:
    """Return the IPv4 address inside a mapped or NAT64 one, else the address itself."""
    if isinstance(address, IPv6Address) and any(address in network for network in WRAPPED_V4):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether the address belongs to a host of the public internet, by the registries above."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in REFUSED_V4)
    return address in ADMITTED_V6 and not any(address in network for network in REFUSED_V6)


def is_own(address: Address) -> bool:
    """Whether the address is this host's.

    A datagram socket that is connected to one of the host's addresses gets that same address as its source.
    Nothing is sent. Unlike a list of interfaces, this needs no privileges and is never out of date.
    Raises OSError when this host has no socket left.
    """
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ip_address(probe.getsockname()[0]) == address
    except OSError as error:
        if error.errno in LOCAL_ERRORS:
            raise
        return False  # there is no route to it, so it is not ours


LOOKUP_THREADS = 8  # all of them can hang at once
STUCK_AFTER = 5.0  # seconds without a look-up that began or ended; then no name waits for a thread


class Lookups:
    """The look-ups of all threads of a process, each in a thread of its own."""

    def __init__(self, most: int = LOOKUP_THREADS) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._changed_at = 0.0  # on the monotonic clock, when a look-up began or ended last
        # By host and port, each with the time when it began.
        self._under_way: dict[tuple[str, int | None], tuple[float, Future[list[Any]]]] = {}

    def limit(self, most: int) -> None:
        """Use at most so many threads."""
        self._most = min(self._most, most)

    def find(self, host: str, port: int | None, seconds: float) -> list[Any]:
        """Return what getaddrinfo finds; raises what it raises, or TimeoutError."""
        until, key = time.monotonic() + seconds, (host, port)
        if not self._most:  # no thread may be started
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with self._changed:
            while key not in self._under_way and len(self._under_way) >= self._most:
                if not self._changed.wait(min(until, self._changed_at + STUCK_AFTER) - time.monotonic()):
                    raise TimeoutError  # The time is over, or all threads hang.
            if is_new := key not in self._under_way:
                self._changed_at = time.monotonic()
                self._under_way[key] = self._changed_at, Future()
                self._changed.notify_all()  # Others may wait for the same name.
            began, lookup = self._under_way[key]
        work = partial(self._look_up, key, lookup)
        if is_new and not current_process.start_thread(work, f"lookup-{host}"):
            work()  # The host allows no thread.
        # A look-up that has taken as long as an attempt may is hopeless.
        return lookup.result(max(min(until, began + seconds) - time.monotonic(), 0))

    def _look_up(self, key: tuple[str, int | None], lookup: Future[list[Any]]) -> None:
        answer = partial(lookup.set_exception, MemoryError())  # There may be none to say so later.
        try:
            answer = partial(lookup.set_result, socket.getaddrinfo(*key, type=socket.SOCK_STREAM))
        except Exception as error:  # the waiting threads raise it
            answer = partial(lookup.set_exception, error)
        finally:
            with self._changed:
                del self._under_way[key]
                self._changed_at = time.monotonic()
                self._changed.notify_all()
            answer()


shared = Lookups()
without_threads = Lookups(most=0)

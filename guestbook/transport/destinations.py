"""Whether a webhook may have this URL. Commands, pages and the API check it here; sending checks it again."""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from guestbook.transport import dns_lookup
from guestbook.transport.address_policy import Address, AddressPolicy, Network, unwrap
from guestbook.transport.url_checks import check_url

LOOKUP_SECONDS = 2.0  # for a look-up that only warns

PRIVATE = (
    "{subject} a private or reserved address, so nothing {will} be sent there. "
    "If you trust that network, add {network} to GUESTBOOK_ALLOW_NETWORKS."
)


def check_destination(
    url: str, *, require_https: bool = False, allow_networks: Sequence[Network] = ()
) -> str:
    """Return the URL in its normal form; raises ValueError with a sentence when nothing may be sent there."""
    normal = check_url(url, require_https=require_https, allow_networks=allow_networks)
    address = literal(urlsplit(normal).hostname or "")
    if address and not AddressPolicy(allow_networks).admits(str(address)):
        raise ValueError(_sentence(address))
    return normal


def private_address_warning(url: str, allow_networks: Sequence[Network] = ()) -> str | None:
    """Say so when the URL's host is a name that leads to a private address; None when it does not.

    The name is looked up, for two seconds at most: let no transaction be open.
    """
    host = urlsplit(url).hostname or ""
    if literal(host):
        return None
    policy = AddressPolicy(allow_networks)
    refused = (found for found in _look_up(host) if not policy.admits(found))
    return next((_sentence(ip_address(found.partition("%")[0]), host) for found in refused), None)


def literal(host: str) -> Address | None:
    """Return the IP address that a host is, without its zone; None when it is a name.

    Like the system's resolver it reads 127.1, 0x7f.0.0.1, 0177.1 and 2130706433, and a dot at the end.
    """
    host = host.partition("%")[0]
    try:
        return IPv6Address(host) if ":" in host else IPv4Address(socket.inet_aton(host.removesuffix(".")))
    except (OSError, ValueError):
        return None


def _sentence(address: Address, host: str = "") -> str:
    """Say that an address, or the one that a host leads to, is private."""
    inner = unwrap(address)
    shown = str(address) if inner == address else f"{address} (which is {inner})"
    subject, will = (f"{host} leads to {shown},", "will") if host else (f"{shown} is", "would")
    return PRIVATE.format(subject=subject, will=will, network=f"{inner}/{inner.max_prefixlen}")


def _look_up(host: str) -> Sequence[str]:
    """Return the addresses of a name, none when it has none or the look-up takes too long."""
    try:
        return [str(address[0]) for *_, address in dns_lookup.shared.find(host, None, LOOKUP_SECONDS)]
    except (OSError, ValueError):  # no such name, or not in time; an over-long label is a UnicodeError
        return ()

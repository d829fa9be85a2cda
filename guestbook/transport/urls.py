"""Checks of a webhook's URL and of its own headers, as people type them, and of where the URL leads.

Commands, pages and the API check a URL here. Sending checks it again.
"""

import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

import idna

from guestbook.transport import addresses
from guestbook.transport.addresses import Address, AddressPolicy, Network, unwrap

# Browsers refuse these: https://fetch.spec.whatwg.org/#port-blocking, as of 2025.
BAD_PORTS = frozenset((
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
    104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513,
    514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720,
    1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
))  # fmt: skip

# Redis and memcached read a line as a command, whatever was before it, and often ask for no password.
REFUSED_PORT = BAD_PORTS | {6379, 11211}

URL_LIMIT = 2000  # characters
OWN_HEADERS_LIMIT = 10
HEADER_NAME_LIMIT = 64  # characters
HEADER_VALUE_LIMIT = 1024  # characters

NO_SCHEME = re.compile(r"^(h[tps]{2,5})?(:/+|//)")  # one that is misspelt, or has no colon
NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f-\xa0\\\s]")
HOST_NAME = re.compile(r"(?=.{1,253}\.?$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*\.?")
# Zones: RFC 6874.
IPV6_NETLOC = re.compile(r"\[([0-9A-Fa-f:.]+)(?:%(?:25)?([0-9A-Za-z._-]{1,32}))?\](?::.*)?")
UNESCAPED = "!$%&'()*+,/:;=?@~[]"  # a path or query may also hold letters, digits and -._

HEADER_NAME_PATTERN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
HEADER_VALUE_PATTERN = re.compile(r"[\x20-\x7e]*")

# We or the connection set these. With them a stranger could forge a signed request or add a second one.
DENIED = frozenset(
    (
        *("accept-encoding", "date", "host", "user-agent", "via"),
        *("content-encoding", "content-length", "content-type"),  # about the body
        *("connection", "expect", "http2-settings", "keep-alive", "upgrade"),  # about the connection
        *("te", "trailer", "transfer-encoding"),  # about the end of the body
    )
)
DENIED_PREFIXES = ("webhook-", "x-guestbook-", "x-hub-signature", "proxy-")


def check_url(url: str, *, require_https: bool = False, allow_networks: Sequence[Network] = ()) -> str:
    """Return the URL in its normal form; raises ValueError with a sentence."""
    if not url:
        raise ValueError("The URL is missing.")
    if len(url) > URL_LIMIT:
        raise ValueError(f"The URL is longer than {URL_LIMIT} characters.")
    if NOT_IN_URLS.search(url):
        raise ValueError("The URL must not contain spaces, control characters or backslashes.")
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets, or characters that Unicode normalises to delimiters
        raise ValueError("The URL’s host is not valid.") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"The URL must start with https:// or http://.{scheme_question(url)}")
    if require_https and parts.scheme != "https":
        raise ValueError("The URL must start with https://.")
    if "@" in parts.netloc:
        raise ValueError("The URL must not contain a user name or password; use a header for them.")
    if "#" in url:
        raise ValueError("The URL must not contain a fragment (#…), because it would never be sent.")
    path, query = _escaped(parts.path) or "/", _escaped(parts.query)
    netloc = _netloc(parts, allow_networks)
    normal = urlunsplit((parts.scheme, netloc, path, query, ""))
    if len(normal) > URL_LIMIT:
        raise ValueError(f"The URL is longer than {URL_LIMIT} characters once it is encoded.")
    return normal


def scheme_question(url: str, scheme: str = "https") -> str:
    """Return a question after a blank: whether the same URL with its scheme is wanted, if it has a host."""
    whole = f"{scheme}://{NO_SCHEME.sub('', url)}"
    try:
        host = urlsplit(check_url(whole)).hostname or ""
    except ValueError:
        return ""
    return f" Did you mean {whole}?" if "." in host or host == "localhost" else ""


def check_headers(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return a webhook's own headers without the blanks around them; raises ValueError with a sentence."""
    checked = {name.strip(" \t"): value.strip(" \t") for name, value in pairs}
    if len({name.lower() for name in checked}) < len(pairs):
        raise ValueError("A header is named twice.")
    if len(checked) > OWN_HEADERS_LIMIT:
        raise ValueError(f"There may be at most {OWN_HEADERS_LIMIT} headers.")
    for name, value in checked.items():
        _check_header(name, value)
    return checked


def _netloc(parts: SplitResult, allow_networks: Sequence[Network]) -> str:
    host = _host(parts)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("The URL’s port must be a number from 1 to 65535.")
    # A name's addresses are checked later, when a request is sent.
    if port in REFUSED_PORT and not AddressPolicy(allow_networks).may_allow(host.strip("[]")):
        raise ValueError(
            f"Port {port} belongs to another service than the web, so nothing is sent there. Use another "
            "port, or allow the receiver's network in GUESTBOOK_ALLOW_NETWORKS."
        )
    default = 443 if parts.scheme == "https" else 80
    return host if port in (None, default) else f"{host}:{port}"


def _host(parts: SplitResult) -> str:
    host = parts.hostname
    if not host:
        raise ValueError("The URL has no host.")
    if "[" in parts.netloc or "]" in parts.netloc:
        return _ipv6_host(parts.netloc)
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise ValueError("The URL’s host is not a valid international domain name.") from None
    if not HOST_NAME.fullmatch(host):
        raise ValueError("The URL’s host is not valid.")
    return host


def _ipv6_host(netloc: str) -> str:
    match = IPV6_NETLOC.fullmatch(netloc)
    if not match:
        raise ValueError("The URL’s host is not a valid IPv6 address.")
    address, zone = match.groups()
    try:
        return f"[{IPv6Address(address)}%25{zone}]" if zone else f"[{IPv6Address(address)}]"
    except ValueError:
        raise ValueError("The URL’s host is not a valid IPv6 address.") from None


def _escaped(text: str) -> str:
    try:
        return quote(text, safe=UNESCAPED)
    except UnicodeEncodeError:  # half a surrogate pair
        raise ValueError("The URL contains characters that cannot be encoded.") from None


def _check_header(name: str, value: str) -> None:
    if not HEADER_NAME_PATTERN.fullmatch(name):
        raise ValueError(f"{name[:HEADER_NAME_LIMIT]!r} is not a header’s name.")
    if len(name) > HEADER_NAME_LIMIT:
        raise ValueError(f"A header’s name may have at most {HEADER_NAME_LIMIT} characters.")
    if name.lower() in DENIED or name.lower().startswith(DENIED_PREFIXES):
        raise ValueError(f"The header {name} is set by the guestbook itself.")
    if len(value) > HEADER_VALUE_LIMIT:
        raise ValueError(f"The value of {name} is longer than {HEADER_VALUE_LIMIT} characters.")
    if not HEADER_VALUE_PATTERN.fullmatch(value):
        raise ValueError(f"The value of {name} must consist of printable ASCII characters.")


EVERY_NETWORK = (ip_network("0.0.0.0/0"), ip_network("::/0"))
LOOKUP_SECONDS = 2.0  # a look-up that only warns takes no longer

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
    try:
        answers = addresses.shared.find(host, None, LOOKUP_SECONDS)
    except (OSError, ValueError):  # No such name, or not in time; an over-long label is a UnicodeError.
        return None
    refused = (str(found[0]) for *_, found in answers if not policy.admits(str(found[0])))
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

"""Making a connection: resolve once, check each address, connect to a checked one, check the peer again."""

import os
import socket
from ipaddress import ip_address
from typing import Any

from guestbook.lib import resource_limits
from guestbook.transport import socket_budget, url_checks
from guestbook.transport.failure import LOCAL_ERRORS, TransportError
from guestbook.transport.socket_budget import AttemptBudget, BudgetSocket

ADDRESSES_TRIED = 3  # addresses of a name that are tried

SocketAddress = tuple[socket.AddressFamily, Any]


def connect(host: str, port: int) -> BudgetSocket:
    """Return a socket connected to an admitted address of the host; raises TransportError."""
    attempt = socket_budget.current.get()
    attempt.stage = socket_budget.CONNECTING
    literal = _literal(host)
    if literal:  # no look-up needed
        _check(attempt, (literal, port))
    addresses = _resolve(attempt, host, port)
    for _, address in addresses:
        _check(attempt, address)
    sock = _connect_first(attempt, addresses[:ADDRESSES_TRIED])
    try:
        _check(attempt, sock.getpeername())
    except TransportError:
        sock.close()
        raise
    except OSError:  # the peer has closed it already
        sock.close()
        raise attempt.error("connect_failed") from None
    attempt.stage = socket_budget.HANDSHAKING  # if there is one
    return sock


def connect_to_proxy(host: str, port: int) -> BudgetSocket:
    """Return a socket connected to the operator's proxy, at any address."""
    attempt = socket_budget.current.get()
    attempt.stage = socket_budget.AT_PROXY
    try:
        return _connect_first(attempt, _resolve(attempt, host, port)[:ADDRESSES_TRIED])
    except TransportError as error:
        raise attempt.error("proxy_failed", error.detail) from None


def connect_to_mail_server(host: str, port: int) -> BudgetSocket:
    """Return a socket connected to the owner's mail server, at any address; raises TransportError."""
    attempt = socket_budget.current.get()
    attempt.stage = socket_budget.CONNECTING
    sock = _connect_first(attempt, _resolve(attempt, host, port)[:ADDRESSES_TRIED])
    attempt.stage = socket_budget.HANDSHAKING  # if there is one
    return sock


def limit_resolver() -> None:
    """Let glibc give up on a dead name server after 2 seconds: getaddrinfo itself takes no time-out."""
    os.environ.setdefault("RES_OPTIONS", "timeout:2 attempts:1")


def _resolve(attempt: AttemptBudget, host: str, port: int) -> list[SocketAddress]:
    seconds = attempt.left()
    try:
        if _literal(host):  # this cannot block, so it needs no thread
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        else:
            answers = attempt.lookups.find(host, port, seconds)
    except TimeoutError:
        raise attempt.error("name_timeout") from None
    except MemoryError:
        raise attempt.error("out_of_memory") from None
    except OSError as error:
        raise attempt.error(_why_not_found(error)) from None
    except ValueError:  # an empty or over-long label is a UnicodeError
        raise attempt.error("name_not_found") from None
    if not answers:
        raise attempt.error("name_not_found")
    return [(family, address) for family, _, _, _, address in answers]


def _why_not_found(error: OSError) -> str:
    """Return the reason word. Out of files, the C library says that a name is unknown."""
    if error.errno == socket.EAI_MEMORY:
        return "out_of_memory"
    if resource_limits.files_are_used_up():
        return "out_of_sockets"
    unknown = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None))
    if isinstance(error, socket.gaierror) and error.errno not in unknown:
        return "name_lookup_failed"
    return "name_not_found"


def _literal(host: str) -> str | None:
    try:
        return str(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def _check(attempt: AttemptBudget, address: Any) -> None:
    try:
        admitted = attempt.policy.admits(address[0])
    except OSError as error:  # no socket left to find out whether the address is our own
        raise attempt.error("out_of_sockets", error.strerror or "") from None
    if not admitted:
        raise attempt.error("private_address", address[0])
    if address[1] in url_checks.REFUSED_PORT and not attempt.policy.allows(address[0]):
        raise attempt.error("bad_port", str(address[1]))


def _connect_first(attempt: AttemptBudget, addresses: list[SocketAddress]) -> BudgetSocket:
    """Connect to the first address that answers; each has its share of the time that is left."""
    failure = attempt.error("connect_failed")
    for index, (family, address) in enumerate(addresses):
        seconds = attempt.left() / (len(addresses) - index)
        try:
            return _connect(family, address, seconds)
        except TimeoutError:
            failure = attempt.error("connect_timeout")
        except OSError as error:
            reason = "out_of_sockets" if error.errno in LOCAL_ERRORS else "connect_failed"
            failure = attempt.error(reason, error.strerror or "")
    raise failure


def _connect(family: socket.AddressFamily, address: Any, seconds: float) -> BudgetSocket:
    sock = BudgetSocket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        socket.socket.settimeout(sock, seconds)  # that of BudgetSocket does nothing
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock

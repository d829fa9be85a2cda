"""A transport that reaches this machine, and what becomes of a POST that gets no answer."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Any

import pytest

from guestbook.transport.failure import TransportError
from guestbook.transport.http_request_and_redirects import Transport

LOOPBACK = [ip_network("127.0.0.0/8")]


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport(timeout=2, allow_networks=LOOPBACK)
    yield transport
    transport.close()


@pytest.fixture
def strict() -> Iterator[Transport]:
    """A transport that reaches public addresses alone."""
    transport = Transport(timeout=2)
    yield transport
    transport.close()


def failure(transport: Transport, url: str, headers: Mapping[str, str] | None = None) -> TransportError:
    with pytest.raises(TransportError) as raised:
        transport.post(url, headers or {}, b"{}")
    return raised.value


def answers(*found: str) -> Callable[..., list[Any]]:
    """A look-up that finds these addresses, in place of getaddrinfo."""
    return lambda _host, port, *_, **__: [_entry(address, port or 0) for address in found]


def _entry(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))


@contextmanager
def through(proxy: Any, seconds: float = 2, *, user: str = "", **more: Any) -> Iterator[Transport]:
    """A transport that sends through a proxy on loopback."""
    scheme = "https" if proxy.tls else "http"
    transport = Transport(timeout=seconds, proxy=f"{scheme}://{user}127.0.0.1:{proxy.port}", **more)
    yield transport
    transport.close()

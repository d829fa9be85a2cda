"""A transport that reaches this machine, and what becomes of a POST that gets no answer."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_network

import pytest

from guestbook.transport import Transport, TransportError

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

"""Ports of other services than the web get nothing, on any host that the operator does not allow."""

import socket
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from guestbook.transport import Transport, check_url, connections, urls
from tests.transport.conftest import failure
from tests.transport.test_address_policy import answers

ALLOWED = (ip_network("10.1.0.0/16"), ip_network("::1/128"))


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport(timeout=2, allow_networks=ALLOWED)
    yield transport
    transport.close()


@pytest.mark.parametrize("port", [22, 25, 6000, 6379, 10080, 11211])
def test_a_url_with_the_port_of_another_service_is_refused_with_a_sentence(port: int) -> None:
    for host in ("example.org", "8.8.8.8", "[2003::1]", "127.0.0.1"):
        with pytest.raises(ValueError, match=f"Port {port} belongs to another service") as raised:
            check_url(f"http://{host}:{port}/")
        assert "GUESTBOOK_ALLOW_NETWORKS" in str(raised.value)


@pytest.mark.parametrize("port", [80, 443, 8000, 8080, 8443, 9000, 5000, 65535])
def test_ports_that_web_servers_use_are_taken(port: int) -> None:
    assert check_url(f"https://example.org:{port}/")


def test_the_ports_that_browsers_refuse_are_all_there() -> None:
    assert len(urls.BAD_PORTS) == 83
    assert {80, 443, 8080, 8443}.isdisjoint(urls.REFUSED_PORT)


def test_in_an_allowed_network_every_port_may_be_named() -> None:
    for host in ("10.1.2.3", "[::1]", "[::ffff:10.1.2.3]", "intranet.example"):
        assert check_url(f"http://{host}:6379/", allow_networks=ALLOWED)
    for host in ("10.2.0.1", "8.8.8.8", "[2003::1]"):
        with pytest.raises(ValueError, match="Port 6379"):
            check_url(f"http://{host}:6379/", allow_networks=ALLOWED)


def test_a_name_is_checked_again_by_the_address_that_it_has_when_it_is_sent_to(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers("8.8.8.8"))
    error = failure(transport, "http://hook.example:6379/")
    assert (error.reason, error.sent, error.unreachable) == ("bad_port", False, False)
    reached: list[object] = []

    def connect(attempt: connections.AttemptBudget, addresses: object) -> None:
        reached.append(addresses)
        raise attempt.error("connect_failed")

    monkeypatch.setattr(connections, "_connect_first", connect)
    monkeypatch.setattr(socket, "getaddrinfo", answers("10.1.2.3"))
    assert failure(transport, "http://hook.example:6379/").reason == "connect_failed"
    assert reached, "the operator's own network"


def test_a_url_that_was_stored_before_is_an_outcome_of_its_post(strict: Transport) -> None:
    error = failure(strict, "http://example.org:25/")
    assert (error.reason, error.sent) == ("bad_url", False)
    assert "Port 25 belongs to another service" in str(error)

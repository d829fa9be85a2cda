"""A webhook's URL is judged when it is set, as its requests are judged when they are sent."""

import socket
import threading
import time
from ipaddress import ip_network
from typing import Any

import pytest

from guestbook.transport import addresses, check_destination, private_address_warning, urls
from tests.transport.test_address_policy import LITERALS, PUBLIC, REFUSED

NAMES = [host for host in LITERALS if host.strip(".").lower().endswith("ocalhost")]


def host_of(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("host", [*map(host_of, REFUSED), *(host for host in LITERALS if host not in NAMES)])
def test_a_private_literal_address_is_refused_in_every_spelling(host: str) -> None:
    with pytest.raises(ValueError, match=r"private or reserved address.*GUESTBOOK_ALLOW_NETWORKS"):
        check_destination(f"http://{host}:8080/hook")


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_literal_address_is_taken(address: str) -> None:
    assert check_destination(f"https://{host_of(address)}/hook").endswith("/hook")


def test_the_sentence_names_the_network_that_allows_it() -> None:
    for host, network in (("[::ffff:10.0.0.1]", "10.0.0.1/32"), ("[fd00::1]", "fd00::1/128")):
        with pytest.raises(ValueError, match=f"add {network} to"):
            check_destination(f"http://{host}/")
        assert check_destination(f"http://{host}/", allow_networks=[ip_network(network)])


def test_names_are_not_looked_up_to_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", leads_to("10.0.0.1"))
    assert check_destination("http://inner.example/") == "http://inner.example/"


def leads_to(*found: str) -> Any:
    return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in found]


def test_a_name_that_leads_to_a_private_address_gets_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", leads_to("1.1.1.1", "10.0.0.1"))
    warning = private_address_warning("http://inner.example/hook")
    assert warning
    assert warning.startswith("inner.example leads to 10.0.0.1, a private or reserved address")
    assert "add 10.0.0.1/32 to GUESTBOOK_ALLOW_NETWORKS" in warning
    assert private_address_warning("http://inner.example/", [ip_network("10.0.0.0/8")]) is None


def test_a_public_name_and_a_name_of_nobody_get_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", leads_to("1.1.1.1"))
    assert private_address_warning("http://outer.example/") is None
    monkeypatch.undo()
    assert private_address_warning("http://nobody.invalid/") is None
    assert private_address_warning(f"http://{'a' * 63}.{'b' * 63}/") is None


def test_a_slow_name_server_holds_nobody_and_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "shared", addresses.Lookups())
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(20) and [])
    monkeypatch.setattr(urls, "LOOKUP_SECONDS", 0.05)
    start = time.monotonic()
    assert [private_address_warning(f"http://slow{n}.example/") for n in range(20)] == [None] * 20
    assert time.monotonic() - start < 20  # the name server holds one for as long
    assert len(lookups()) == addresses.LOOKUP_THREADS
    released.set()
    for thread in lookups():
        thread.join(5)
    monkeypatch.setattr(socket, "getaddrinfo", leads_to("10.0.0.1"))
    assert private_address_warning("http://inner.example/")


def lookups() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("lookup-")]

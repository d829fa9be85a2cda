"""Names are looked up by a few threads, which no attempt waits for longer than its time."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask

from guestbook.lib import current_process
from guestbook.transport import addresses
from guestbook.transport.addresses import LOOKUP_THREADS, Lookups
from guestbook.transport.failure import TransportError
from guestbook.transport.http_request_and_redirects import Transport
from tests.support import factories
from tests.support.receiver import Receiver

LOOPBACK = [ip_network("127.0.0.0/8")]
HERE = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]


class Resolver:
    """Hangs with every name until it is let go, then finds this host."""

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.go = threading.Event()
        self._real = socket.getaddrinfo

    def __call__(self, host: str, port: Any, *more: Any, **named: Any) -> list[Any]:
        if host[0].isdigit():
            return self._real(host, port, *more, **named)
        self.queries.append(host)
        self.go.wait(30)
        return HERE


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(addresses, "shared", Lookups())
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.go.set()


def seconds_for(do: Callable[[], object]) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


def refused(transport: Transport, host: str) -> TransportError:
    with pytest.raises(TransportError) as raised:
        transport.post(f"http://{host}/", {}, b"")
    return raised.value


def hang_all(transport: Transport) -> None:
    """Let every thread hang with a name of its own."""
    with ThreadPoolExecutor(LOOKUP_THREADS) as pool:
        list(pool.map(lambda number: refused(transport, f"dead{number}.example"), range(LOOKUP_THREADS)))


def test_names_that_hang_take_few_threads_and_hold_up_no_address(
    resolver: Resolver, receiver: Receiver
) -> None:
    transport = Transport(timeout=0.3, allow_networks=LOOPBACK)
    assert seconds_for(lambda: hang_all(transport)) < 10  # the resolver takes thirty
    hang_all(transport)
    assert len(resolver.queries) == len(set(resolver.queries)) == LOOKUP_THREADS
    error = refused(transport, "another.example")
    assert (error.reason, error.unreachable, error.sent) == ("name_timeout", True, False)
    assert len(resolver.queries) == LOOKUP_THREADS
    assert transport.post(receiver.url(), {}, b"").status == 200


def test_when_all_hang_another_name_fails_at_once_and_when_they_end_it_is_found(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "STUCK_AFTER", 1.0)
    hang_all(Transport(timeout=0.3))
    patient = Transport(timeout=20)
    others = [f"other{number}.example" for number in range(12)]
    assert seconds_for(lambda: [refused(patient, name) for name in others]) < 6  # and not 12
    resolver.go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("lookup-"):
            thread.join(5)
    assert addresses.shared.find("another.example", 80, 5) == HERE


def test_a_name_that_many_want_is_looked_up_once(resolver: Resolver) -> None:
    with ThreadPoolExecutor(10) as pool:
        found = [pool.submit(addresses.shared.find, "book.example", 80, 20) for _ in range(10)]
        threading.Timer(0.2, resolver.go.set).start()
        assert [one.result() for one in found] == [HERE] * 10
    assert resolver.queries == ["book.example"]
    assert addresses.shared.find("book.example", 80, 20) == HERE  # nothing is remembered
    assert len(resolver.queries) == 2


def test_without_a_thread_names_are_looked_up_too(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current_process, "start_thread", lambda *_: False)
    resolver.go.set()
    assert Lookups().find("book.example", 80, 5) == HERE


def test_a_name_waits_for_the_only_thread_which_no_later_limit_gives_back(resolver: Resolver) -> None:
    lookups = Lookups(2)
    lookups.limit(1)
    lookups.limit(9)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lookups.find, "book.example", 80, 20)
        while not resolver.queries:
            time.sleep(0.01)
        second = pool.submit(lookups.find, "another.example", 80, 20)
        with pytest.raises(TimeoutError):
            lookups.find("third.example", 80, 0.2)
        assert resolver.queries == ["book.example"]
        resolver.go.set()
        assert [first.result(), second.result()] == [HERE, HERE]


@pytest.mark.parametrize("most", [0, 8])
def test_an_address_is_found_once_with_its_port(most: int) -> None:
    assert Lookups(most).find("127.0.0.1", 80, 20) == HERE


@pytest.mark.usefixtures("resolver")
def test_a_pass_among_names_that_hang_serves_the_others_and_ends(app: Flask, receiver: Receiver) -> None:
    app.config["GUESTBOOK"] = replace(factories.settings(), timeout=0.3)
    for number in range(12):
        factories.webhook(f"http://dead{number}.example/")
    good = factories.webhook(receiver.url("/good"))
    for _ in range(3):
        factories.sign()
    factories.run_pass()
    assert len(receiver.at("/good")) == 3
    bad = [row for row in factories.deliveries() if row.webhook_id != good]
    assert {row.last_error for row in bad if row.attempts} == {"The host name was not looked up in time."}
    assert all(attempt.milliseconds < 10_000 for attempt in factories.attempts())

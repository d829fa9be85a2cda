"""Whom a stranger's URL may make us connect to: nobody but public hosts, whatever it is called."""

import errno
import re
import socket
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from guestbook.transport import addresses, connections
from guestbook.transport.addresses import AddressPolicy
from guestbook.transport.http_request_and_redirects import Transport
from tests.support.socket_receiver import SocketReceiver
from tests.transport.conftest import answers, failure

REFUSED = [
    # IPv4: the first and the last address of each network, and the famous ones between
    *("0.0.0.0", "0.0.0.1", "0.255.255.255"),
    *("10.0.0.0", "10.1.2.3", "10.255.255.255"),
    *("100.64.0.0", "100.100.100.200", "100.127.255.255"),
    *("127.0.0.0", "127.0.0.1", "127.1.2.3", "127.255.255.255"),
    "168.63.129.16",
    *("169.254.0.0", "169.254.169.254", "169.254.169.123", "169.254.170.2", "169.254.255.255"),
    *("172.16.0.0", "172.17.0.1", "172.31.255.255"),
    *("192.0.0.0", "192.0.0.8", "192.0.0.170", "192.0.0.192", "192.0.0.255"),
    *("192.0.2.0", "192.0.2.1", "192.0.2.255"),
    *("192.31.196.1", "192.52.193.1", "192.175.48.1"),
    *("192.88.99.0", "192.88.99.1", "192.88.99.255"),
    *("192.168.0.0", "192.168.1.1", "192.168.255.255"),
    *("198.18.0.0", "198.19.255.255"),
    *("198.51.100.0", "198.51.100.255"),
    *("203.0.113.0", "203.0.113.255"),
    *("224.0.0.0", "224.0.0.1", "239.255.255.250", "239.255.255.255"),
    *("240.0.0.0", "254.1.1.1", "255.255.255.254", "255.255.255.255"),
    # IPv6
    *("::", "::1", "::2", "::ffff"),
    *("100::", "100::1", "100:0:0:1::1"),
    *("64:ff9b:1::", "64:ff9b:1::1", "64:ff9b:1:ffff::1"),
    *("2001::", "2001::1", "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
    *("2001:1::1", "2001:2::1", "2001:3::1", "2001:4:112::1", "2001:10::1", "2001:20::1", "2001:30::1"),
    "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    *("2001:db8::", "2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    *("2002::", "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::1", "2002:808:808::1", "2002:ffff::1"),
    *("2620:4f:8000::", "2620:4f:8000::1", "2620:4f:8000:ffff::1"),
    *("3fff::", "3fff::1", "3fff:fff:ffff::1"),
    *("4000::1", "5f00::1", "8000::1", "1fff:ffff::1"),
    *("fc00::", "fc00::1", "fd00::1", "fd00:ec2::254", "fdff:ffff::1"),
    *("fe80::", "fe80::1", "fe80::a9fe:a9fe", "febf::1"),
    *("fec0::1", "feff::1"),
    *("ff00::", "ff02::1", "ff05::2", "ff0e::1", "ffff::1"),
    # IPv4 inside IPv6
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:192.168.1.1"),
    *("::ffff:7f00:1", "::ffff:100.64.0.1", "::ffff:224.0.0.1", "::ffff:168.63.129.16", "::ffff:0.0.0.0"),
    "::ffff:255.255.255.255",
    *("64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::192.168.1.1", "64:ff9b::"),
    *("::127.0.0.1", "::10.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"),
    *("64:ff9b:0:0:0:1:7f00:1", "64:ff9a::8.8.8.8"),
    # zones
    *("fe80::1%lo", "fe80::1%eth0", "::1%1", "ff02::1%eth0"),
]

LITERALS = [
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "017700000001", "0x7f000001", "0x7f.1", "0x7f.0.0.0x1"),
    *("0", "0.0.0.0", "0x0", "0177.0.0.1", "127.0.0.1.", "127.00.00.01", "10.1", "0xa9fea9fe", "2852039166"),
    *("169.254.169.254", "169.254.43518", "0251.0376.0251.0376", "192.168.257", "3232235777", "0xC0A80101"),
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::FFFF:7F00:1]", "[64:ff9b::7f00:1]"),
    *("[fe80::1%25lo]", "[fe80::1%lo]", "[::1%25x]", "[fd00:ec2::254]", "[2002:7f00:1::]", "[::127.0.0.1]"),
    *("localhost", "localhost.", "LOCALHOST", "LocalHost.", "１２７.0.0.1", "127。0。0。1", "ⓛocalhost"),
]

PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
    *("128.0.0.0", "168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255"),
    *("172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.1", "192.167.255.255"),
    "192.169.0.0",
    *("198.17.255.255", "198.20.0.0", "198.51.99.1", "203.0.112.1", "203.0.114.1", "223.255.255.255"),
    *("2000::1", "2001:200::1", "2001:4860:4860::8888", "2001:db7::1", "2001:db9::1", "2003::1"),
    "2606:4700::1",
    *("2620:4f:7fff::1", "2620:4f:8001::1", "2a00:1450::1", "3ffe::1", "3fff:1000::1"),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
]


@pytest.mark.parametrize("address", REFUSED)
def test_a_name_with_a_private_or_special_address_is_refused_also_beside_public_ones(
    address: str, strict: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for found in ([address], ["192.0.1.1", "2003::1", address]):
        monkeypatch.setattr(socket, "getaddrinfo", answers(*found))
        error = failure(strict, "http://hook.example/")
        assert (error.reason, error.sent, error.unreachable) == ("private_address", False, False)


@pytest.mark.parametrize("host", LITERALS)
def test_a_literal_is_refused_however_it_is_written(host: str, strict: Transport) -> None:
    with SocketReceiver() as canary:
        errors = [failure(strict, f"{s}://{host}:{canary.port}/secret?token=1") for s in ("http", "https")]
        assert canary.connections == 0
    assert [(error.reason, error.sent) for error in errors] == [("private_address", False)] * 2
    assert not re.search("secret|token", " ".join(map(str, errors)))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_admitted(address: str) -> None:
    assert AddressPolicy().admits(address)


@pytest.mark.parametrize("networks", [[], [ip_network("10.0.0.0/8")]])
def test_the_operator_may_allow_a_name_where_any_network_is_allowed(networks: list[Any]) -> None:
    policy = AddressPolicy(networks)
    hosts = ("10.1.2.3", "11.0.0.1", "name.example")
    assert [policy.may_allow(host) for host in hosts] == [bool(networks), False, bool(networks)]


@pytest.mark.parametrize(("text", "own"), [("127.0.0.1", True), ("::1", True), ("192.0.2.1", False)])
def test_the_host_knows_its_own_addresses_of_both_kinds(text: str, own: bool) -> None:
    assert addresses.is_own(ip_address(text)) == own


def test_an_address_without_a_route_is_not_ours_and_without_a_socket_nobody_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(code: int) -> Any:
        raise OSError(code, "no socket")

    monkeypatch.setattr(socket, "socket", lambda *_: fail(errno.ENETUNREACH))
    assert not addresses.is_own(ip_address("8.8.8.8"))
    monkeypatch.setattr(socket, "socket", lambda *_: fail(errno.EMFILE))
    with pytest.raises(OSError, match="no socket"):
        addresses.is_own(ip_address("8.8.8.8"))


def test_the_host_s_own_addresses_are_refused_though_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "REFUSED_V4", ())  # most test machines have no public address
    found = socket.getaddrinfo(socket.gethostname(), 0, socket.AF_INET, socket.SOCK_STREAM)
    names = (str(entry[4][0]) for entry in found)
    own = {"127.0.0.1", *(name for name in names if not ip_address(name).is_loopback)}  # Debian: 127.0.1.1
    for address in own:
        assert addresses.is_public(ip_address(address))
        assert not AddressPolicy().admits(address)
    assert AddressPolicy().admits("8.8.8.8")


def test_a_name_that_changes_is_checked_by_the_look_up_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []

    def rebinding(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        looked_up.append(host)
        return answers("127.0.0.1" if len(looked_up) > 1 else "127.0.0.2")(host, port)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    transport = Transport(timeout=2, allow_networks=[ip_network("127.0.0.2/32")])
    with SocketReceiver() as canary:  # on 127.0.0.1
        url = f"http://hook.example:{canary.port}/"
        assert failure(transport, url).reason == "connect_failed"
        assert looked_up == ["hook.example"]
        assert failure(transport, url).reason == "private_address"
        assert canary.connections == 0
    transport.close()


def test_a_peer_with_another_address_is_refused(strict: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the kernel's routing, or a proxy in front of it, had led the connection home."""
    with SocketReceiver() as canary:
        home = socket.create_connection(("127.0.0.1", canary.port))
        monkeypatch.setattr(socket, "getaddrinfo", answers("192.0.1.1"))
        monkeypatch.setattr(connections, "_connect_first", lambda *_: home)
        assert failure(strict, "http://hook.example/").reason == "private_address"
        assert home.fileno() == -1
        assert canary.requests == []


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        ("127.0.0.0/8", "127.0.0.1"),
        ("127.0.0.0/8", "::ffff:127.0.0.1"),
        ("127.0.0.0/8", "64:ff9b::127.0.0.1"),
        ("10.1.2.3/32", "10.1.2.3"),
        ("fd00::/8", "fd12::1"),
        ("fe80::/10", "fe80::1%eth0"),
        ("0.0.0.0/0", "255.255.255.255"),
        ("::/0", "::1"),
    ],
)
def test_an_allowed_network_is_admitted(allowed: str, address: str) -> None:
    assert AddressPolicy([ip_network(allowed)]).admits(address)
    assert not AddressPolicy().admits(address)


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        ("127.0.0.0/8", "::1"),
        ("127.0.0.0/8", "10.0.0.1"),
        ("127.0.0.0/30", "127.0.0.4"),
        ("10.1.2.3/32", "10.1.2.4"),
        ("10.1.2.3/32", "::ffff:10.1.2.4"),
        ("::ffff:0:0/96", "::ffff:10.1.2.3"),
        ("::/0", "127.0.0.1"),
        ("0.0.0.0/0", "::1"),
        ("fd00::/16", "fd01::1"),
    ],
)
def test_an_allowed_network_admits_nothing_else(allowed: str, address: str) -> None:
    assert not AddressPolicy([ip_network(allowed)]).admits(address)


def test_an_allowed_receiver_is_reached_and_its_neighbour_is_not() -> None:
    transport = Transport(timeout=2, allow_networks=[ip_network("127.0.0.1/32")])
    with SocketReceiver() as receiver:
        assert transport.post(receiver.url, {}, b"{}").status == 200
        assert failure(transport, f"http://127.0.0.2:{receiver.port}/").reason == "private_address"
        assert receiver.connections == 1
    transport.close()


def test_at_most_three_addresses_are_tried(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    with SocketReceiver() as receiver:
        monkeypatch.setattr(socket, "getaddrinfo", answers("127.0.0.2", "127.0.0.3", "127.0.0.1"))
        assert transport.post(f"http://hook.example:{receiver.port}/", {}, b"{}").status == 200
        monkeypatch.setattr(socket, "getaddrinfo", answers(*(f"127.0.0.{n}" for n in (2, 3, 4, 1))))
        assert failure(transport, f"http://other.example:{receiver.port}/").reason == "connect_failed"


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL])
def test_a_name_that_is_not_found_is_told_from_a_look_up_that_failed(
    code: int, strict: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(code, "no")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    error = failure(strict, "http://hook.example/")
    assert error.reason == ("name_not_found" if code == socket.EAI_NONAME else "name_lookup_failed")
    assert (error.sent, error.unreachable) == (False, True)


def test_a_name_without_addresses_is_not_found(strict: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers())
    assert failure(strict, "http://hook.example/").reason == "name_not_found"


def test_proxies_and_netrc_of_the_host_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\ndefault login me password secret\n")
    netrc.chmod(0o600)
    with SocketReceiver() as canary, SocketReceiver() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/does/not/exist")
        monkeypatch.setenv("CURL_CA_BUNDLE", "/does/not/exist")
        transport = Transport(timeout=2, allow_networks=[ip_network("127.0.0.0/8")])
        assert transport.post(receiver.url, {}, b"{}").status == 200
        transport.close()
        assert canary.connections == 0
        assert b"authorization" not in receiver.requests[0].lower()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_connection_goes_through_the_address_policy(
    scheme: str, strict: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []

    def judge(_: AddressPolicy, address: str) -> bool:
        checked.append(address)
        return False

    monkeypatch.setattr(AddressPolicy, "admits", judge)
    monkeypatch.setattr(socket, "getaddrinfo", answers("192.0.1.1"))
    assert failure(strict, f"{scheme}://hook.example/").reason == "private_address"
    assert checked == ["192.0.1.1"]

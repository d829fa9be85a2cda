"""The operator's proxy: it resolves the names, it may refuse, and its outage is nobody else's fault."""

import base64
import contextlib
import socket
import ssl
import threading
import time
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

from guestbook.transport.http_request_and_redirects import Transport
from tests.support import socket_receiver
from tests.support.socket_receiver import OK, SocketReceiver, read_request, server_context
from tests.transport.conftest import failure, through


class Proxy(SocketReceiver):
    """A proxy on loopback: CONNECT leads to the receiver whatever the name, all else is answered itself."""

    def __init__(
        self,
        receiver: SocketReceiver | None = None,
        status: bytes = b"200 Established",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.receiver = receiver
        self.status = status
        super().__init__(self.serve, tls=tls)

    def serve(self, conn: socket.socket) -> None:
        while request := read_request(conn):
            self.requests.append(request)
            if not request.startswith(b"CONNECT "):
                conn.sendall(OK)
                continue
            conn.sendall(b"HTTP/1.1 " + self.status + b"\r\nX-Proxy: p\r\n\r\n")
            if self.receiver:
                with socket.create_connection(("127.0.0.1", self.receiver.port)) as onward:
                    pipe(conn, onward)
            return


def pipe(left: socket.socket, right: socket.socket) -> None:
    def copy(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=copy, args=(right, left))
    back.start()
    copy(left, right)
    back.join()


def test_a_proxy_gets_the_whole_url_and_resolves_the_name() -> None:
    with Proxy() as proxy, through(proxy) as transport:
        for _ in range(2):
            assert transport.post("http://hook.invalid/x?y", {"X-A": "b"}, b"{}").status == 200
        assert proxy.connections == 1
    assert proxy.requests[0] == (
        b"POST http://hook.invalid/x?y HTTP/1.1\r\n"
        b"Host: hook.invalid\r\nX-A: b\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_a_proxy_gets_its_credentials_and_errors_do_not() -> None:
    with Proxy(status=b"407 Who Are You") as proxy, through(proxy, user="me:s3cret@") as transport:
        assert transport.post("http://hook.invalid/", {}, b"{}").status == 200
        error = failure(transport, "https://hook.invalid/")
    expected = b"Proxy-Authorization: Basic " + base64.b64encode(b"me:s3cret")
    assert [expected in request for request in proxy.requests] == [True, True]
    assert (error.reason, error.detail) == ("proxy_failed", "it answered 407")
    assert "s3cret" not in f"{error} {error!r}"


@pytest.mark.parametrize(
    ("status", "reason"),
    [(b"403 Forbidden", "proxy_refused"), (b"502 Bad", "proxy_gave_up"), (b"503 No", "proxy_gave_up")],
)
def test_a_tunnel_that_is_refused_says_so(status: bytes, reason: str) -> None:
    with Proxy(status=status) as proxy, through(proxy) as transport:
        error = failure(transport, "https://hook.invalid/secret")
    assert (error.reason, error.sent) == (reason, False)
    assert (error.unreachable, error.is_ours) == (reason == "proxy_gave_up", False)
    assert proxy.requests[0].startswith(b"CONNECT hook.invalid:443 HTTP/1.")
    assert ("PythonAnywhere" in str(error)) is (reason == "proxy_refused")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_away_is_not_charged_to_the_webhook(scheme: str) -> None:
    with socket_receiver.nobody() as url:
        transport = Transport(timeout=2, proxy=url.removesuffix("/hook").replace("//", "//me:s3cret@"))
        error = failure(transport, f"{scheme}://hook.invalid/")
        transport.close()
    assert (error.reason, error.sent, error.unreachable) == ("proxy_failed", False, False)
    assert error.is_ours
    assert "s3cret" not in f"{error} {error!r}"


@pytest.mark.parametrize(
    "behave", [socket_receiver.silent, socket_receiver.drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")]
)
def test_a_proxy_that_stalls_before_the_tunnel_may_not_be_at_fault(behave: socket_receiver.Behaviour) -> None:
    with SocketReceiver(behave) as proxy, through(proxy, 0.3) as transport:
        start = time.monotonic()
        error = failure(transport, "https://hook.invalid/")
        assert time.monotonic() - start < 5  # the drip goes on for ever
    assert (error.reason, error.sent, error.is_ours) == ("proxy_gave_up", False, False)


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    return str(tmp_path / "ca.pem")


@pytest.fixture
def authority(ca_file: str) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(ca_file)
    return authority


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_tunnel_carries_tls_and_is_used_again(scheme: str, authority: trustme.CA, ca_file: str) -> None:
    names: list[str | None] = []
    tls = server_context(authority.issue_cert("hook.invalid"))
    tls.sni_callback = lambda _, name, __: names.append(name)
    outer = server_context(authority.issue_cert("127.0.0.1")) if scheme == "https" else None
    with (
        SocketReceiver(tls=tls) as receiver,
        Proxy(receiver, tls=outer) as proxy,
        through(proxy, ca_file=ca_file) as transport,
    ):
        for body in (b"{}", b"x" * 1_000_000):
            assert transport.post("https://hook.invalid/x", {"X-A": "b"}, body).status == 200
        assert proxy.connections == receiver.connections == 1
    assert names == ["hook.invalid"]
    assert receiver.requests[1].endswith(b"\r\n\r\n" + body)
    assert receiver.requests[0] == (
        b"POST /x HTTP/1.1\r\nHost: hook.invalid\r\nX-A: b\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_end_without_close_notify_is_one_in_a_tunnel(
    scheme: str, authority: trustme.CA, ca_file: str
) -> None:
    tls = server_context(authority.issue_cert("hook.invalid"))
    outer = server_context(authority.issue_cert("127.0.0.1")) if scheme == "https" else None
    whole = OK.replace(b"Content-Length: 2", b"Connection: close")
    said = iter([whole, b"HTTP/1.1 200"])

    def behave(conn: socket.socket) -> None:
        read_request(conn)
        conn.sendall(next(said))
        conn.shutdown(socket.SHUT_RDWR)

    with (
        SocketReceiver(behave, tls=tls) as receiver,
        Proxy(receiver, tls=outer) as proxy,
        through(proxy, ca_file=ca_file) as transport,
    ):
        answer = transport.post("https://hook.invalid/x", {}, b"{}")
        error = failure(transport, "https://hook.invalid/x")
    assert (answer.body, answer.note) == (b"ok", None)
    assert (error.reason, error.sent) == ("connection_lost", True)


def test_a_certificate_for_another_name_is_refused_in_a_tunnel(authority: trustme.CA, ca_file: str) -> None:
    tls = server_context(authority.issue_cert("other.invalid"))
    with (
        SocketReceiver(tls=tls) as receiver,
        Proxy(receiver) as proxy,
        through(proxy, ca_file=ca_file) as transport,
    ):
        error = failure(transport, "https://hook.invalid/x")
    assert (error.reason, error.sent, error.unreachable) == ("tls_failed", False, True)
    assert receiver.requests == []


def test_a_receiver_that_stalls_inside_a_tunnel_is_charged_to_itself() -> None:
    with (
        SocketReceiver(socket_receiver.silent) as receiver,
        Proxy(receiver) as proxy,
        through(proxy, 0.3) as transport,
    ):
        error = failure(transport, "https://hook.invalid/x")
    assert (error.reason, error.sent, error.unreachable) == ("tls_timeout", False, True)


def test_a_proxy_may_itself_be_reached_over_tls(authority: trustme.CA, ca_file: str) -> None:
    tls = server_context(authority.issue_cert("127.0.0.1"))
    with SocketReceiver(tls=tls) as proxy, through(proxy, user="me:s3cret@", ca_file=ca_file) as transport:
        assert transport.post("http://hook.invalid/x", {}, b"{}").status == 200
    assert proxy.requests[0].startswith(b"POST http://hook.invalid/x HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " in proxy.requests[0]


def test_allowed_networks_and_the_address_policy_play_no_part() -> None:
    with Proxy() as proxy, through(proxy, allow_networks=[ip_network("10.0.0.0/8")]) as transport:
        assert transport.post("http://127.0.0.1/x", {}, b"{}").status == 200

"""TLS: the certificate must be valid for the name in the URL, and the receiver is told that name."""

import contextlib
import datetime
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from guestbook.transport.failure import TransportError
from guestbook.transport.http_request_and_redirects import Transport
from tests.support.socket_receiver import (
    OK,
    Behaviour,
    SocketReceiver,
    drip,
    flood,
    hold,
    read_request,
    reset,
    server_context,
    silent,
)
from tests.transport.conftest import LOOPBACK, answers, failure

NAME = "hook.example"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def transport(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Transport]:
    """A transport that trusts the authority; every name is this machine's."""
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    monkeypatch.setattr(socket, "getaddrinfo", answers("127.0.0.1"))
    transport = Transport(timeout=2, allow_networks=LOOPBACK, ca_file=str(ca_file))
    yield transport
    transport.close()


def refusal(transport: Transport, certificate: trustme.LeafCert, host: str = NAME) -> TransportError:
    with SocketReceiver(tls=server_context(certificate)) as receiver:
        error = failure(transport, f"https://{host}:{receiver.port}/secret")
    assert receiver.requests == []
    assert "secret" not in str(error)
    return error


@pytest.mark.parametrize("host", [NAME, NAME.upper(), NAME + ".", "Bücher.example"])
def test_a_good_certificate_is_accepted_and_the_receiver_is_told_the_name(
    host: str, transport: Transport, authority: trustme.CA
) -> None:
    names: list[str | None] = []
    name = host.lower().replace("bücher", "xn--bcher-kva")
    tls = server_context(authority.issue_cert(name.rstrip(".")))
    tls.sni_callback = lambda _, name, __: names.append(name)
    with SocketReceiver(tls=tls) as receiver:
        answer = transport.post(f"https://{host}:{receiver.port}/hook", {}, b"{}")
    assert (answer.status, answer.body, answer.note) == (200, b"ok", None)
    assert names == [name.rstrip(".")]
    assert f"Host: {name}:{receiver.port}\r\n".encode() in receiver.requests[0]


def test_a_connection_is_reused_and_takes_much(transport: Transport, authority: trustme.CA) -> None:
    with SocketReceiver(tls=server_context(authority.issue_cert(NAME))) as receiver:
        for body in (b"{}", b"x" * 1_000_000, b"{}"):
            assert transport.post(f"https://{NAME}:{receiver.port}/", {}, body).status == 200
            assert receiver.requests[-1].endswith(b"\r\n\r\n" + body)
        assert receiver.connections == 1


DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC)


@pytest.mark.parametrize(
    ("name", "dates", "host", "detail"),
    [
        ("other.example", {}, NAME, NAME),
        (NAME, {}, "127.0.0.1", "127.0.0.1"),
        (NAME, {"not_after": NOW - DAY}, NAME, "expired"),
        (NAME, {"not_before": NOW + DAY}, NAME, "not yet valid"),
    ],
)
def test_a_certificate_for_another_name_or_time_is_refused(
    name: str, dates: dict[str, Any], host: str, detail: str, transport: Transport, authority: trustme.CA
) -> None:
    error = refusal(transport, authority.issue_cert(name, **dates), host)
    assert (error.reason, error.sent, error.unreachable) == ("tls_failed", False, True)
    assert detail in error.detail


def test_a_self_signed_certificate_is_refused(transport: Transport, tmp_path: Path) -> None:
    """An authority's own certificate, used as a receiver's, is signed by itself."""
    stranger = trustme.CA()
    chain = tmp_path / "self.pem"
    stranger.cert_pem.write_to_path(str(chain))
    stranger.private_key_pem.write_to_path(str(chain), append=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain)
    with SocketReceiver(tls=tls) as receiver:
        error = failure(transport, f"https://{NAME}:{receiver.port}/")
    assert error.reason == "tls_failed"
    assert "self" in error.detail


def test_without_an_authority_of_our_own_only_the_public_ones_count(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers("127.0.0.1"))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    transport = Transport(timeout=2, allow_networks=LOOPBACK)
    assert refusal(transport, authority.issue_cert(NAME)).reason == "tls_failed"
    transport.close()


def test_ssl_cert_file_names_the_authorities(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers("127.0.0.1"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    transport = Transport(timeout=2, allow_networks=LOOPBACK)
    with SocketReceiver(tls=server_context(authority.issue_cert(NAME))) as receiver:
        assert transport.post(f"https://{NAME}:{receiver.port}/", {}, b"{}").status == 200
    transport.close()


def test_a_file_of_authorities_that_cannot_be_read_is_an_error_of_the_attempt() -> None:
    transport = Transport(timeout=2, ca_file="/does/not/exist")
    error = failure(transport, "https://hook.example/")
    assert (error.reason, error.sent) == ("no_authorities", False)
    assert not error.unreachable
    transport.close()


def test_old_versions_of_tls_are_refused(transport: Transport, authority: trustme.CA) -> None:
    tls = server_context(authority.issue_cert(NAME))
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        tls.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with SocketReceiver(tls=tls) as receiver:
        error = failure(transport, f"https://{NAME}:{receiver.port}/")
    assert error.reason == "tls_failed"


def test_a_handshake_that_never_ends_is_ended() -> None:
    transport = Transport(timeout=0.3, allow_networks=LOOPBACK)
    with SocketReceiver(silent) as receiver:
        error = failure(transport, f"https://127.0.0.1:{receiver.port}/")
    assert (error.reason, error.sent) == ("tls_timeout", False)
    transport.close()


def test_a_receiver_that_wants_our_certificate_is_told_from_a_broken_one(
    transport: Transport, authority: trustme.CA
) -> None:
    """Under TLS 1.3 it says so only after our handshake has ended."""
    tls = server_context(authority.issue_cert(NAME))
    tls.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(tls)
    with SocketReceiver(tls=tls) as receiver:
        error = failure(transport, f"https://{NAME}:{receiver.port}/")
    assert error.reason in ("tls_failed", "connection_lost")  # its alert may overtake our request


HEAD = b"HTTP/1.1 200 OK\r\n"
SLOW: dict[str, tuple[Behaviour, Any]] = {
    "stalls": (hold(), "timeout"),
    "drips headers": (drip(HEAD, b"X-A: b\r\n"), "timeout"),
    "drips its body": (drip(HEAD + b"\r\n", b"x"), (200, "body_timeout")),
    "sends endless headers": (flood(HEAD, b"X-A: b\r\n"), "response_too_large"),
    "sends an endless body": (flood(HEAD + b"\r\n", b"x"), (200, "body_cut")),
    "resets": (reset, "connection_lost"),
}


@pytest.mark.parametrize(("behave", "expected"), SLOW.values(), ids=SLOW)
def test_the_budget_holds_inside_tls_when_the_receiver(
    behave: Behaviour, expected: Any, authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    transport = Transport(timeout=0.5, allow_networks=LOOPBACK, ca_file=str(tmp_path / "ca.pem"))
    with SocketReceiver(behave, tls=server_context(authority.issue_cert("127.0.0.1"))) as receiver:
        assert _outcome(lambda: transport.post(receiver.url, {}, b"{}")) == expected
    transport.close()


def test_an_end_without_close_notify_is_an_end(transport: Transport, authority: trustme.CA) -> None:
    def behave(conn: socket.socket) -> None:
        read_request(conn)
        conn.sendall(OK.replace(b"Content-Length: 2", b"Connection: close"))
        with contextlib.suppress(OSError):
            conn.shutdown(socket.SHUT_RDWR)

    with SocketReceiver(behave, tls=server_context(authority.issue_cert(NAME))) as receiver:
        answer = transport.post(f"https://{NAME}:{receiver.port}/", {}, b"{}")
    assert (answer.body, answer.note) == (b"ok", None)


def _outcome(post: Callable[[], Any]) -> Any:
    try:
        answer = post()
    except TransportError as error:
        return error.reason
    return answer.status, answer.note

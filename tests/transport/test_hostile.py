"""Receivers that stall, drip, flood, lie or break: each attempt ends in time, bounded, with a reason."""

import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from guestbook.transport.attempt_budget import RECEIVED_BODY_LIMIT
from guestbook.transport.failure import TransportError
from guestbook.transport.http_request_and_redirects import ReceiverAnswer, Transport
from tests.support import socket_receiver
from tests.support.socket_receiver import Behaviour, SocketReceiver, blurt, drip, flood, hold, say, spell
from tests.transport.conftest import LOOPBACK

TIMEOUT = 2.0  # seconds
GRACE = 1.9  # seconds an attempt may take beyond it: one that begins to count anew takes more

STATUS = b"HTTP/1.1 200 OK\r\n"
CHUNKED = STATUS + b"Transfer-Encoding: chunked\r\n\r\n"
CLOSING = STATUS + b"Connection: close\r\n\r\n"
LONG = STATUS + b"Content-Length: 1000000\r\n\r\n"
BOMB = gzip.compress(bytes(20_000_000))  # 20 kB that would be 20 MB
HEADERS = b"".join(b"X-%d: b\r\n" % n for n in range(9000))
MOVED = b"HTTP/1.1 302 Found\r\nLocation: /x\r\n"
GZIPPED = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB


@dataclass(frozen=True)
class Case:
    """A hostile receiver and what becomes of a POST to it."""

    name: str
    behave: Behaviour
    expected: str | tuple[int, str | None]  # a reason, or a status and a note
    body: bytes = b"{}"
    scheme: str = "http"


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    seconds: float
    result: ReceiverAnswer | TransportError


def sized(length: bytes) -> tuple[bytes, bytes]:
    """An answer with this length, whose body is two bytes long."""
    return STATUS, b"Content-Length: %b\r\n\r\nok" % length


def coded(coding: bytes) -> tuple[bytes]:
    """The end of a head with this coding, and a body without chunks."""
    return (b"Transfer-Encoding: %b\r\n\r\n0\r\n\r\n" % coding,)


CASES = [
    # It stalls.
    Case("says nothing", socket_receiver.silent, "timeout"),
    Case("stalls in its status line", hold(b"HTTP/1.1 20"), "timeout"),
    Case("stalls after its status line", hold(STATUS), "timeout"),
    Case("stalls in its headers", hold(STATUS, b"Server: x\r\nX-Ha"), "timeout"),
    Case("stalls after a 100", hold(b"HTTP/1.1 100 Continue\r\n\r\n"), "timeout"),
    Case("stalls before its body", hold(LONG), (200, "body_timeout")),
    Case("stalls in its body", hold(LONG, b"x" * 500), (200, "body_timeout")),
    Case("stalls before its first chunk", hold(CHUNKED), (200, "body_timeout")),
    Case("stalls in a chunk", hold(CHUNKED, b"ff\r\nabc"), (200, "body_timeout")),
    Case("stalls before the end of a chunk", hold(CHUNKED, b"3\r\nabc"), (200, "body_timeout")),
    Case("stalls before its trailers", hold(CHUNKED, b"3\r\nabc\r\n0\r\n"), (200, "body_timeout")),
    Case("never closes a body without length", hold(CLOSING, b"ok"), (200, "body_timeout")),
    Case("stalls in the TLS handshake", socket_receiver.silent, "tls_timeout", scheme="https"),
    Case("never reads", socket_receiver.never_reading, "send_timeout", body=bytes(16_000_000)),
    # It drips.
    Case("drips its status line", spell(STATUS * 9), "timeout"),
    Case("drips blanks before its status", drip(b"HTTP/1.1", b" "), "timeout"),
    Case("drips headers", drip(STATUS, b"X-A: b\r\n"), "timeout"),
    Case("drips one header", drip(STATUS + b"X-A: ", b"b"), "timeout"),
    Case("drips a folded header", drip(STATUS + b"X-A: b\r\n", b" b\r\n"), "timeout"),
    Case("drips 100s", drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "timeout"),
    Case("drips 103s", drip(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), "timeout"),
    Case("drips its body", drip(LONG, b"x"), (200, "body_timeout")),
    Case("drips a body without length", drip(CLOSING, b"x"), (200, "body_timeout")),
    Case("drips chunks", drip(CHUNKED, b"1\r\nx\r\n"), (200, "body_timeout")),
    Case("drips the size of a chunk", drip(CHUNKED, b"0"), (200, "body_timeout")),
    Case("drips a chunk extension", drip(CHUNKED + b"1;", b"x"), (200, "body_timeout")),
    Case("drips trailers", drip(CHUNKED + b"0\r\n", b"X-A: b\r\n"), (200, "body_timeout")),
    # It never ends.
    Case("sends an endless status line", flood(b"HTTP/1.1 200 ", b"OK "), "response_too_large"),
    Case("sends endless headers", flood(STATUS, b"X-A: b\r\n"), "response_too_large"),
    Case("sends endless different headers", flood(STATUS, HEADERS), "response_too_large"),
    Case("sends one endless header", flood(STATUS + b"X-A: ", b"b"), "response_too_large"),
    Case("sends an endless folded header", flood(STATUS + b"X-A: b\r\n", b" b\r\n"), "response_too_large"),
    Case("sends 20 kB of headers", say(STATUS, b"X-A: b\r\n" * 2500, b"\r\n"), "response_too_large"),
    Case("sends endless 100s", flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "response_too_large"),
    Case("sends endless 103s", flood(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), "response_too_large"),
    Case("sends endless blank lines", flood(b"", b"\r\n"), "bad_response"),
    Case("sends endless zeros", flood(b"", b"\0"), "response_too_large"),
    Case("sends an endless body", flood(CLOSING, b"x"), (200, "body_cut")),
    Case("sends an endless body of 500", flood(b"HTTP/1.1 500 No\r\n\r\n", b"x"), (500, "body_cut")),
    Case("sends endless chunks", flood(CHUNKED, b"1\r\nx\r\n"), (200, "body_cut")),
    Case("sends an endless chunk", flood(CHUNKED + b"ffffffff\r\n", b"x"), (200, "body_cut")),
    Case("sends an endless size of a chunk", flood(CHUNKED, b"1"), (200, "body_cut")),
    Case("sends an endless chunk extension", flood(CHUNKED + b"1;", b"x"), (200, "body_cut")),
    Case("sends endless trailers", flood(CHUNKED + b"0\r\n", b"X-A: b\r\n"), (200, "body_cut")),
    Case("sends a gzip bomb", say(STATUS, GZIPPED), (200, "body_cut")),
    Case("redirects with a gzip bomb", say(MOVED, GZIPPED), (302, "body_cut")),
    # It lies about the length.
    Case("has a negative length", say(*sized(b"-5")), (200, None)),
    Case("has a signed length", say(*sized(b"+2")), (200, None)),
    Case("has a garbled length", say(*sized(b"two")), (200, None)),
    Case("has a huge length", say(*sized(b"9" * 18)), (200, "body_broken")),
    Case("has a length of 5000 digits", say(*sized(b"9" * 5000)), (200, None)),
    Case("has two lengths", say(*sized(b"1\r\nContent-Length: 2")), (200, None)),
    Case("has the same length twice", hold(*sized(b"2, 2")), (200, None)),
    Case("has a length and chunks", hold(STATUS, b"Content-Length: 9\r\n", *coded(b"chunked")), (200, None)),
    Case("has chunks inside an unknown coding", hold(STATUS, *coded(b"x, chunked")), (200, None)),
    Case("has a body after 204", hold(b"HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n"), (204, None)),
    Case("has chunks after 304", hold(b"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n"), (304, None)),
    Case("has an invalid size of a chunk", hold(CHUNKED, b"xyz\r\nok\r\n0\r\n\r\n"), (200, "body_broken")),
    Case("has a negative size of a chunk", say(CHUNKED, b"-5\r\nok\r\n0\r\n\r\n"), (200, "body_broken")),
    Case("has a chunk larger than said", hold(CHUNKED, b"1\r\nokokok\r\n0\r\n\r\n"), (200, "body_broken")),
    # It is not HTTP.
    Case("answers garbage", say(b"\x16\x03\x01\xff\xfe\n" * 9), "bad_response"),
    Case("answers in HTTP/0.9", say(b"<html>ok</html>\n"), "bad_response"),
    Case("answers in HTTP/2", say(b"HTTP/2 200\r\n\r\n"), "bad_response"),
    Case("answers like SSH", say(b"SSH-2.0-OpenSSH_9.2\r\n"), "bad_response"),
    Case("has the status 99", say(b"HTTP/1.1 99 Low\r\n\r\n"), "bad_response"),
    Case("has the status 0200", say(b"HTTP/1.1 0200 OK\r\n\r\n"), "bad_response"),
    Case("has the status +200", say(b"HTTP/1.1 +200 OK\r\n\r\n"), "bad_response"),
    Case("has the status 2e2", say(b"HTTP/1.1 2e2 OK\r\n\r\n"), "bad_response"),
    Case("has the status ²00", say("HTTP/1.1 ²00 OK\r\n\r\n".encode("iso-8859-1")), "bad_response"),
    Case("has no status", say(b"HTTP/1.1\r\n\r\n"), "bad_response"),
    Case("has the status 999", say(b"HTTP/1.1 999 Denied\r\n\r\n"), (999, None)),
    Case("has no reason", say(b"HTTP/1.1 200\r\n\r\n"), (200, None)),
    Case("switches protocols", hold(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n\x81\x05"), (101, None)),
    Case("ends lines with LF alone", say(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), (200, None)),
    Case("has blanks before its first header", say(STATUS, b" Content-Length: 9\r\n\r\nok"), (200, None)),
    Case("has garbled headers", say(STATUS, b"no colon\r\n: no name\r\nX\0: \xff\x1b\r\n\r\n"), (200, None)),
    Case("answers TLS in plain text", blurt(b"HTTP/1.1 400 No\r\n\r\n"), "tls_failed", scheme="https"),
    Case("answers TLS with half a record", blurt(b"\x16\x03\x03\x01\x00\x02"), "tls_timeout", scheme="https"),
    # It breaks off.
    Case("hangs up at once", socket_receiver.close_at_once, "connection_lost"),
    Case("hangs up in the TLS handshake", socket_receiver.close_at_once, "tls_failed", scheme="https"),
    Case("hangs up after the request", say(), "connection_lost"),
    Case("hangs up in its status line", say(b"HTTP/1.1 2"), "connection_lost"),
    Case("hangs up after its status line", say(STATUS), "connection_lost"),
    Case("hangs up in its headers", say(STATUS, b"X-A: b\r\nX-"), "connection_lost"),
    Case("hangs up in its body", say(LONG, b"half"), (200, "body_broken")),
    Case("hangs up in a chunk", say(CHUNKED, b"ff\r\nhalf"), (200, "body_broken")),
    Case("hangs up between chunks", say(CHUNKED, b"2\r\nok\r\n"), (200, "body_broken")),
    Case("resets the connection", socket_receiver.reset, "connection_lost"),
]
FLOODS = [case for case in CASES if "endless" in case.name or "bomb" in case.name]


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, Outcome]]:
    """All receivers at once, each on a thread, over one transport: nobody's stall may slow another."""
    outcomes: dict[str, Outcome] = {}
    transport = Transport(timeout=TIMEOUT, allow_networks=LOOPBACK)

    def post(case: Case, port: int) -> None:
        start = time.monotonic()
        result = outcome(transport, f"{case.scheme}://127.0.0.1:{port}/hook", case.body)
        outcomes[case.name] = Outcome(time.monotonic() - start, result)

    with ExitStack() as stack:
        stack.callback(transport.close)
        servers = [(case, stack.enter_context(SocketReceiver(case.behave))) for case in CASES]
        threads = [threading.Thread(target=post, args=(case, server.port)) for case, server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        yield outcomes


def outcome(transport: Transport, url: str, body: bytes = b"{}") -> ReceiverAnswer | TransportError:
    try:
        return transport.post(url, {"Content-Type": "application/json"}, body)
    except TransportError as error:
        return error


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_receiver_that(case: Case, outcomes: dict[str, Outcome]) -> None:
    found = outcomes[case.name]
    assert found.seconds < TIMEOUT + GRACE
    if isinstance(found.result, ReceiverAnswer):
        assert (found.result.status, found.result.note) == case.expected
        assert len(found.result.body) <= RECEIVED_BODY_LIMIT
    else:
        assert found.result.reason == case.expected
        assert found.result.sent is not case.expected.startswith("tls")
        assert found.result.unreachable is case.expected.endswith(("timeout", "failed"))


def test_a_connection_that_nobody_accepts_ends_in_time() -> None:
    transport = Transport(timeout=0.3, allow_networks=LOOPBACK)
    with socket_receiver.never_accepting() as url:
        start = time.monotonic()
        result = outcome(transport, url)
        assert time.monotonic() - start < 0.3 + GRACE
    transport.close()
    assert isinstance(result, TransportError)
    assert result.reason == "timeout"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
def test_a_redirect_is_an_answer_and_its_target_is_never_visited(status: int, transport: Transport) -> None:
    with SocketReceiver() as canary:
        head = f"HTTP/1.1 {status} Go\r\nLocation: {canary.url}\r\nRefresh: 0;url={canary.url}\r\n\r\n"
        with SocketReceiver(say(head.encode())) as receiver:
            result = outcome(transport, receiver.url)
        assert isinstance(result, ReceiverAnswer)
        assert (result.status, result.headers["location"]) == (status, canary.url)
        assert canary.connections == 0


def test_a_cookie_is_not_kept(transport: Transport) -> None:
    requests: list[bytes] = []

    def behave(conn: socket.socket) -> None:
        while request := socket_receiver.read_request(conn):
            requests.append(request)
            conn.sendall(STATUS + b"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n")

    with SocketReceiver(behave) as receiver:
        result = outcome(transport, receiver.url)
        outcome(transport, receiver.url)
    assert isinstance(result, ReceiverAnswer)
    assert result.headers["set-cookie"] == "a=b, c=d"
    assert len(requests) == 2
    assert b"cookie" not in requests[1].lower()


def test_a_header_bomb_is_bounded_in_what_is_kept(transport: Transport) -> None:
    many = b"".join(b"X-%d: %s\r\n" % (n, b"b" * 100) for n in range(130))
    with SocketReceiver(say(STATUS, many, b"Content-Length: 0\r\n\r\n")) as receiver:
        result = outcome(transport, receiver.url)
    assert isinstance(result, ReceiverAnswer)
    assert len(result.headers) == 131
    assert sum(len(name) + len(value) for name, value in result.headers.items()) < 16 * 1024


@pytest.mark.parametrize("case", FLOODS, ids=[case.name for case in FLOODS])
def test_memory_stays_bounded_when_it(case: Case, transport: Transport) -> None:
    with SocketReceiver(case.behave) as receiver:
        tracemalloc.start()
        try:
            outcome(transport, receiver.url)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 2_000_000

"""The normal course: what stands on the wire, what comes back, what is kept between two POSTs."""

import contextlib
import errno
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from guestbook.transport import connections
from guestbook.transport.attempt_budget import RECEIVED_BODY_LIMIT
from guestbook.transport.failure import FAILURE_SENTENCES, UNREACHABLE, TransportError
from guestbook.transport.http_request_and_redirects import ReceiverAnswer, Transport
from tests.support import socket_receiver
from tests.support.socket_receiver import OK, SocketReceiver, hold, read_request, say
from tests.transport.conftest import LOOPBACK, answers, failure

WHOLE = b"HTTP/1.1 201 Created\r\nX-A: b\r\nx-a: c\r\nContent-Length: 4\r\n\r\nokay"


def test_the_request_has_the_given_headers_and_no_others(transport: Transport) -> None:
    with SocketReceiver() as receiver:
        transport.post(
            f"{receiver.url}?a=%20b&c", {"Content-Type": "application/json", "x-A": "b c"}, b'{"a": 1}'
        )
    assert receiver.requests == [
        b"POST /hook?a=%20b&c HTTP/1.1\r\n"
        b"Host: 127.0.0.1:" + str(receiver.port).encode() + b"\r\n"
        b"Content-Type: application/json\r\n"
        b"x-A: b c\r\n"
        b"Content-Length: 8\r\n"
        b"\r\n"
        b'{"a": 1}'
    ]


@pytest.mark.parametrize("method", ["GET", "PROPFIND", "brew", "M-SEARCH", "OPTIONS"])
def test_any_method_can_be_sent(method: str, transport: Transport) -> None:
    with SocketReceiver() as receiver:
        assert transport.send(method, receiver.url, {}, b"x").status == 200
    assert receiver.requests[0].startswith(f"{method} /hook HTTP/1.1\r\n".encode())


@pytest.mark.parametrize("method", ["", "CONNECT", "Connect", "A B", "A\r\nB: c", "X" * 21, "É"])
def test_what_is_no_method_or_opens_a_tunnel_is_never_sent(method: str, transport: Transport) -> None:
    with SocketReceiver() as receiver:
        with pytest.raises(TransportError) as raised:
            transport.send(method, receiver.url, {}, b"")
        assert receiver.requests == []
    assert raised.value.reason == "bad_method"


def test_a_writer_may_send_a_request_in_pieces_or_close_within_it(transport: Transport) -> None:
    def in_pieces(sock: socket.socket, message: bytes) -> None:
        for byte in message:
            sock.sendall(bytes([byte]))

    def half(sock: socket.socket, message: bytes) -> None:
        sock.sendall(message[:20])
        raise KeyError

    with SocketReceiver() as receiver:
        assert transport.send("POST", receiver.url, {}, b"body", write=in_pieces).status == 200
        with pytest.raises(KeyError):
            transport.send("POST", receiver.url, {}, b"body", write=half)
    assert [request.endswith(b"\r\n\r\nbody") for request in receiver.requests] == [True]


def test_an_answer_to_head_has_no_body_whatever_its_length_says(transport: Transport) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
    with SocketReceiver(say(head)) as receiver:
        for _ in range(2):
            answer = transport.send("HEAD", receiver.url, {}, b"")
            assert (answer.status, answer.body, answer.note) == (200, b"", None)


@pytest.mark.parametrize(
    "body", [b"", b"\0\xff\r\n\r\n", bytes(range(256)) * 8192], ids=["no", "odd", "large"]
)
def test_the_body_arrives_byte_for_byte(body: bytes, transport: Transport) -> None:
    with SocketReceiver() as receiver:
        assert transport.post(receiver.url, {}, body).status == 200
    head, _, received = receiver.requests[0].partition(b"\r\n\r\n")
    assert received == body
    assert f"Content-Length: {len(body)}".encode() in head


@pytest.mark.parametrize(
    "headers",
    [
        *({"X-A": value} for value in ("b\r\nX-C: d", "b\nX-C: d", "b\r\n\r\nGET / HTTP/1.1\r\n")),
        *({"X-A": value} for value in ("\0", "ü", "\ud800", "b\rc", "b\x7fc", "b\x1bc")),
        *({name: "b"} for name in ("X-A\r\nX-C", "X-A: b\r\nX-C", "X A", "", "Host", "host")),
        *({"Content-Length": "0"}, {"Transfer-Encoding": "chunked"}, {"Connection": "close"}),
    ],
)
def test_a_header_that_breaks_the_request_is_not_sent(headers: dict[str, str], transport: Transport) -> None:
    with SocketReceiver() as receiver:
        error = failure(transport, receiver.url, headers)
        assert (error.reason, error.sent, error.unreachable) == ("bad_header", False, False)
        assert receiver.connections == 0


def test_the_answer_says_what_was_received(transport: Transport) -> None:
    head = b"HTTP/1.1 410 Gone\r\nServer: x\r\nX-A: b\r\nx-a:  c \r\nX-Fold: d\r\n e\r\n"
    with SocketReceiver(say(head, b"Content-Length: 3\r\n\r\n\0\xff!")) as receiver:
        answer = transport.post(receiver.url, {}, b"{}")
    assert answer == ReceiverAnswer(410, answer.headers, b"\0\xff!", None)
    assert dict(answer.headers) == {"Server": "x", "X-A": "b, c", "X-Fold": "d e", "Content-Length": "3"}
    assert answer.headers["SERVER"] == answer.headers["server"] == "x"
    assert "x-fold" in answer.headers
    assert answer.headers.get("missing") is None


@pytest.mark.parametrize("cut", [1, 16, 20, len(WHOLE) - 5, len(WHOLE) - 4, len(WHOLE) - 2, len(WHOLE)])
def test_an_answer_in_two_parts_says_the_same_as_in_one(cut: int, transport: Transport) -> None:
    def behave(conn: socket.socket) -> None:
        for _ in range(2):
            read_request(conn)
            conn.sendall(WHOLE[:cut])
            time.sleep(0.02)
            conn.sendall(WHOLE[cut:])

    with SocketReceiver(behave) as receiver:
        for _ in range(2):
            answer = transport.post(receiver.url, {}, b"{}")
            assert (answer.status, answer.body, answer.note) == (201, b"okay", None)
            assert dict(answer.headers) == {"X-A": "b, c", "Content-Length": "4"}
        assert receiver.connections == 1


def test_early_hints_are_not_the_answer(transport: Transport) -> None:
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    with SocketReceiver(hold(hints, OK)) as receiver:
        answer = transport.post(receiver.url, {}, b"{}")
    assert (answer.status, answer.body) == (200, b"ok")
    assert "link" not in answer.headers


@pytest.mark.parametrize(
    ("size", "note"),
    [(0, None), (RECEIVED_BODY_LIMIT, None), (RECEIVED_BODY_LIMIT + 1, "body_cut"), (60_000, "body_cut")],
)
@pytest.mark.parametrize("framing", ["length", "chunks", "end"])
def test_a_body_is_kept_up_to_a_limit(
    framing: str, size: int, note: str | None, transport: Transport
) -> None:
    with SocketReceiver(say(b"HTTP/1.1 200 OK\r\n", framed(framing, b"x" * size))) as receiver:
        answer = transport.post(receiver.url, {}, b"{}")
    assert (answer.body, answer.note) == (b"x" * min(size, RECEIVED_BODY_LIMIT), note)


def framed(framing: str, body: bytes) -> bytes:
    if framing == "length":
        return b"Content-Length: %d\r\n\r\n" % len(body) + body
    if framing == "end":
        return b"Connection: close\r\n\r\n" + body
    parts = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-Trailer: t\r\n\r\n"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 17000\r\n\r\n" + b"x" * 17000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
    ids=["close", "HTTP/1.0", "cut", "two lengths", "broken"],
)
def test_a_connection_that_cannot_be_used_again_is_not(said: bytes, transport: Transport) -> None:
    def behave(conn: socket.socket) -> None:
        while read_request(conn):
            conn.sendall(said)
            if b"Content-Length: 1\r\n" in said:
                conn.shutdown(socket.SHUT_WR)

    with SocketReceiver(behave) as receiver:
        for _ in range(2):
            assert transport.post(receiver.url, {}, b"{}").status == 200
        assert receiver.connections == 2


def test_a_connection_that_was_closed_meanwhile_is_noticed_before_it_is_used(transport: Transport) -> None:
    hung_up = threading.Semaphore(0)

    def behave(conn: socket.socket) -> None:
        read_request(conn)
        conn.sendall(OK)  # it does not say that it will hang up
        conn.shutdown(socket.SHUT_WR)
        hung_up.release()
        socket_receiver.wait_for_hang_up(conn)

    with SocketReceiver(behave) as receiver:
        for _ in range(5):
            assert transport.post(receiver.url, {}, b"{}").status == 200
            assert hung_up.acquire(timeout=5)
        assert receiver.connections == 5


def test_a_connection_that_dies_in_use_is_an_error_and_nothing_is_sent_twice(transport: Transport) -> None:
    requests: list[bytes] = []

    def behave(conn: socket.socket) -> None:
        requests.append(read_request(conn))
        conn.sendall(OK)
        requests.append(read_request(conn))

    with SocketReceiver(behave) as receiver:
        assert transport.post(receiver.url, {}, b"first").status == 200
        error = failure(transport, receiver.url)
        assert receiver.connections == 1
    assert (error.reason, error.sent, error.unreachable) == ("connection_lost", True, False)
    assert [request.rpartition(b"\r\n")[2] for request in requests] == [b"first", b"{}"]


@pytest.mark.parametrize(("size", "hangs_up"), [(1_000_000, False), (16_000_000, True)])
def test_a_receiver_that_answers_early_is_heard(size: int, hangs_up: bool, transport: Transport) -> None:
    def behave(conn: socket.socket) -> None:
        conn.recv(10)
        conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        if not hangs_up:  # else the connection is reset
            conn.shutdown(socket.SHUT_WR)
            socket_receiver.wait_for_hang_up(conn)

    with SocketReceiver(behave) as receiver:
        assert transport.post(receiver.url, {}, bytes(size)).status == 413


def test_a_port_where_nobody_listens_is_unreachable(transport: Transport) -> None:
    with socket_receiver.nobody() as url:
        error = failure(transport, url)
    assert (error.reason, error.sent, error.unreachable) == ("connect_failed", False, True)


def test_each_address_has_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address is a listener whose backlog is full, which on Linux swallows connections."""
    transport, brief = (Transport(timeout=seconds, allow_networks=LOOPBACK) for seconds in (4, 0.5))
    with SocketReceiver() as receiver, full_backlog(receiver.port) as deaf:
        monkeypatch.setattr(socket, "getaddrinfo", answers(deaf, "127.0.0.1"))
        assert transport.post(f"http://hook.example:{receiver.port}/", {}, b"{}").status == 200
        monkeypatch.setattr(socket, "getaddrinfo", answers(deaf))
        error = failure(brief, f"http://deaf.example:{receiver.port}/")
    transport.close()
    brief.close()
    assert (error.reason, error.sent, error.unreachable) == ("connect_timeout", False, True)


@contextlib.contextmanager
def full_backlog(port: int) -> Iterator[str]:
    """Give an address where connections are neither taken nor refused, as that of a host that is cut off."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.2", port))
        listener.listen(0)
        for _ in range(20):
            caller = stack.enter_context(socket.socket())
            caller.settimeout(0.1)
            try:
                caller.connect(("127.0.0.2", port))
            except TimeoutError:
                break
        else:
            pytest.skip("this kernel's backlog never fills")
        yield "127.0.0.2"


def test_many_threads_share_it_and_a_stuck_one_holds_nobody_up() -> None:
    transport = Transport(timeout=2, allow_networks=LOOPBACK)
    answers: list[int] = []

    def behave(conn: socket.socket) -> None:
        while request := read_request(conn):
            if b"stuck" in request:
                socket_receiver.wait_for_hang_up(conn)
            conn.sendall(OK)

    def post(number: int) -> None:
        for _ in range(20):
            answers.append(transport.post(f"http://127.0.0.1:{receiver.port}/{number}", {}, b"{}").status)

    with SocketReceiver(behave) as receiver:
        stuck = threading.Thread(target=failure, args=(transport, f"http://127.0.0.1:{receiver.port}/stuck"))
        threads = [threading.Thread(target=post, args=(number,)) for number in range(16)]
        for thread in (stuck, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        assert stuck.is_alive()
        assert answers == [200] * 320
        assert receiver.connections <= 17
        stuck.join()
    transport.close()


def test_a_post_that_is_overtaken_by_the_closing_is_an_outcome(transport: Transport) -> None:
    with SocketReceiver() as receiver:
        transport.post(receiver.url, {}, b"{}")
        transport.close()
        error = failure(transport, receiver.url)
        assert len(receiver.requests) == 1
    assert (error.reason, error.sent, error.unreachable) == ("closed", False, False)


def test_closing_hangs_up(transport: Transport) -> None:
    hung_up = threading.Event()

    def behave(conn: socket.socket) -> None:
        while read_request(conn):
            conn.sendall(OK)
        hung_up.set()

    with SocketReceiver(behave) as receiver:
        transport.post(receiver.url, {}, b"{}")
        assert not hung_up.is_set()
        transport.close()
        assert hung_up.wait(5)


def test_a_dead_name_server_is_given_up_soon() -> None:
    module = "guestbook.transport.http_request_and_redirects"
    code = f"import os, {module} as t; t.Transport(); print(os.environ['RES_OPTIONS'])"
    environ = {name: value for name, value in os.environ.items() if name != "RES_OPTIONS"}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert run.stdout == "timeout:2 attempts:1\n"


def test_every_reason_has_a_sentence_that_hides_the_secret_parts_of_the_url() -> None:
    assert set(FAILURE_SENTENCES) >= UNREACHABLE
    for reason, sentence in FAILURE_SENTENCES.items():
        assert str(TransportError(reason)) == sentence
        assert str(TransportError(reason, "because")) == f"{sentence} (because)"
        assert sentence.endswith(".")
        assert not isinstance(TransportError(reason), OSError)


# --- connections that wait for their next request


def made(transport: Transport, *receivers: SocketReceiver) -> list[int]:
    """Send something to each in turn; return how many connections each has got since."""
    before = [receiver.connections for receiver in receivers]
    for receiver in receivers:
        assert transport.post(receiver.url, {}, b"{}").status == 200
    return [receiver.connections - count for receiver, count in zip(receivers, before, strict=True)]


def test_the_connection_that_waits_longest_is_closed_when_there_are_too_many(transport: Transport) -> None:
    with SocketReceiver() as one, SocketReceiver() as two:
        assert made(transport, one, two) == [1, 1]
        assert made(transport, one, two) == [0, 0]
        transport.limit(connections=1)
        assert made(transport, two) == [0], "the newest was kept"
        assert made(transport, one, two) == [1, 1]
        transport.limit(connections=0)
        assert made(transport, two, two) == [2, 2]


@pytest.mark.parametrize("shortage", [OSError(errno.EMFILE, "Too many open files"), MemoryError()])
def test_half_of_them_are_closed_when_the_host_allows_no_more(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, shortage: Exception
) -> None:
    def connect(*_: object) -> None:
        raise shortage

    with SocketReceiver() as one, SocketReceiver() as two:
        made(transport, one, two)
        with monkeypatch.context() as patched:
            patched.setattr(connections, "_connect", connect)
            assert failure(transport, "http://127.0.0.1:20000/").limit
        assert made(transport, two) == [0]
        assert made(transport, one) == [1]

"""Slow and half-open connections use nothing up: they end in time, and make room for visitors before that."""

import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import requests

from guestbook.lib import http_server
from guestbook.web.request_checks import BLUEPRINT_LIMIT_BYTES
from tests.conftest import running
from tests.support import documents, processes
from tests.support.forks import Forks

ROOT = Path(__file__).parents[2]
SERVE = [sys.executable, "-m", "flask", "--app", "guestbook", "serve", "--listen"]
HEAD = b"POST /hooks/x HTTP/1.1\r\nHost: x\r\n"
BODY = HEAD + b"Content-Length: 100000\r\n\r\n"
# A server that is as patient as its arguments say, and whose answers have as many bytes as the third one.
IMPATIENT = """
import sys
from guestbook.lib import http_server as server

def app(environ, start_response):
    got = len(environ["wsgi.input"].read())
    status = "304 NOT MODIFIED" if environ["PATH_INFO"] == "/same" else "200 OK"
    start_response(status, [("X-Got", str(got))])
    return [b"x" * int(sys.argv[3])]

server.GRACE_SECONDS, server.BYTES_PER_SECOND, server.IDLE_SECONDS = 1.0, float(sys.argv[1]), int(sys.argv[2])
serving, where = server.listening(app, listen="127.0.0.1:0", threads=2, url_prefix="")
print(where, flush=True)
serving.run()
"""


@contextmanager
def impatient(rate: int = 2000, idle: int = 60, answer: int = 2) -> Iterator[int]:
    """Give the port of a server that waits for a second, and one more for so many bytes."""
    command = [sys.executable, "-c", IMPATIENT, str(rate), str(idle), str(answer)]
    with processes.started(command, cwd=ROOT, env=processes.clean_environ()) as one:
        found = processes.wait_for(lambda: re.search(r":(\d+)\n", one.output()), 20, one.output)
        yield int(found[1])


@contextmanager
def connected(**how: int) -> Iterator[socket.socket]:
    with impatient(**how) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def seconds_until_closed(connection: socket.socket, drip: Callable[[], object], limit: float = 15) -> float:
    """Do something every tenth of a second until the server ends the connection."""
    connection.settimeout(0.1)
    began = time.monotonic()
    while time.monotonic() < began + limit:
        try:
            drip()
            if connection.recv(1) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


@pytest.mark.parametrize("start", [HEAD, BODY], ids=["headers", "a body"])
def test_a_request_that_comes_a_byte_at_a_time_is_ended(start: bytes) -> None:
    with connected() as connection:
        connection.sendall(start)
        assert seconds_until_closed(connection, lambda: connection.send(b"a")) < 12


def test_a_connection_on_which_nothing_comes_is_ended() -> None:
    with connected(idle=1) as connection:
        assert seconds_until_closed(connection, lambda: None) < 12


def test_an_answer_that_is_taken_a_byte_at_a_time_is_ended() -> None:
    with impatient(rate=10_000_000, answer=10_000_000) as port, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        ended = threading.Event()
        pauses = (ended.wait(0.1) for _ in range(40))
        got = sum(len(connection.recv(1)) for _ in pauses)
        connection.settimeout(5)
        while part := receive(connection):
            got += len(part)
        assert got < 10_000_000


def receive(connection: socket.socket) -> bytes:
    """What there is; nothing when the connection has ended, in whatever way."""
    try:
        return connection.recv(1_000_000)
    except OSError:
        return b""


def test_after_a_304_the_connection_stays_open_unless_the_client_wants_it_closed() -> None:
    with connected() as connection:
        for _ in range(2):
            connection.sendall(b"GET /same HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = receive(connection)
            assert answer.startswith(b"HTTP/1.1 304")
            assert b"Connection: close" not in answer
        connection.sendall(b"GET /same HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"Connection: close" in receive(connection)
        assert receive(connection) == b""


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        HEAD + b"transfer-encoding:\r\ncontent-length: 0",
        HEAD.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\nTransfer-Encoding: chunked",
        HEAD + b"Content-Length: " + b"1" * 5000,
        b"GET http://[ HTTP/1.1\r\nHost: x",
    ],
)
def test_a_request_whose_end_is_not_certain_is_refused_and_its_connection_ends(head: bytes) -> None:
    with connected() as connection:
        connection.sendall(head + b"\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        answers = b"".join(iter(lambda: receive(connection), b""))
        assert answers.count(b"Content-Type:") == 1
        assert b" 400 Bad Request" in answers


def test_a_slow_but_steady_sender_is_waited_for() -> None:
    with connected() as connection:
        connection.sendall(HEAD + b"Content-Length: 10000\r\n\r\n")
        for _ in range(10):
            connection.sendall(b"x" * 1000)
            time.sleep(0.2)  # 5,000 bytes a second, for twice as long as a request without bytes may take
        assert b"X-Got: 10000" in connection.recv(1000)


def test_half_open_connections_keep_no_visitor_out(environ: dict[str, str], tmp_path: Path) -> None:
    port = processes.free_port()
    limited = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", *SERVE, f"127.0.0.1:{port}"]
    with (
        running(environ),
        processes.started(limited, cwd=tmp_path, env=processes.clean_environ(**environ)) as one,
        ExitStack() as stack,
    ):
        processes.wait_for(lambda: processes.answers(f"http://127.0.0.1:{port}"), 30, one.output)
        for start in (HEAD, BODY, b"") * 30:  # 90, of which 50 fill it
            connection = stack.enter_context(closing(socket.create_connection(("127.0.0.1", port))))
            connection.sendall(start)
        for _ in range(5):
            assert requests.get(f"http://127.0.0.1:{port}/", timeout=10).status_code == 200
        assert one.output().count("All 50 connections are taken: the slowest are closed.") == 1
        assert "Traceback" not in one.output()


def test_a_place_that_cannot_be_had_gets_a_sentence(environ: dict[str, str], forks: Forks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = f"127.0.0.1:{listener.getsockname()[1]}"
        no_address = [(place, 2, "Listen on an address") for place in ("x:y", "8080", "127.0.0.1:99999")]
        for place, code, why in ((taken, 1, f"Cannot listen on {taken}: Address"), *no_address):
            server = forks.start(environ, "serve", "--listen", place)
            assert server.wait() == code
            assert server.printed.splitlines()[-1].startswith(f"Error: {why}")


def test_it_listens_on_a_socket_file_too(environ: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "socket"
    command, env = [*SERVE, f"unix:{place}"], processes.clean_environ(**environ)
    with running(environ), processes.started(command, cwd=tmp_path, env=env) as one:
        processes.wait_for(place.exists, 30, one.output)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            processes.wait_for(lambda: "Serving on unix:" in one.output(), 30, one.output)
            connection.connect(str(place))
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.0 200")


def test_the_reference_says_the_limits_as_they_are() -> None:
    text = documents.read("reference/server")
    assert f"| connections at once | {http_server.CONNECTIONS};" in text
    grace, rate = http_server.GRACE_SECONDS, http_server.BYTES_PER_SECOND
    assert f"| {grace:.0f} seconds, plus a second for each {rate:,} bytes |" in text
    assert f"closed after {http_server.IDLE_SECONDS} seconds" in text
    assert f"below {3 * http_server.CONNECTIONS + http_server.RESERVED_DESCRIPTORS:,}" in text


def test_no_page_takes_more_than_the_server() -> None:
    assert max(BLUEPRINT_LIMIT_BYTES.values()) < http_server.BODY_BYTES

"""The URLs of bins: any method and any body are answered as the bin is set, and the book takes no harm."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from werkzeug.serving import make_server

from guestbook.inbound import request_bins
from guestbook.storage import row_changes
from guestbook.storage.models import Bin, BinRequest
from guestbook.web import request_checks, response_headers
from guestbook.web.inbound_webhook import WAITERS
from tests.support import factories, site
from tests.support.processes import wait_for

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "M-SEARCH", "X")
MEGABYTE = 1024 * 1024


@pytest.fixture
def place(app: Flask) -> str:  # noqa: ARG001  the factories fill it
    return made()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(params=["waitress", "werkzeug"])
def port(request: pytest.FixtureRequest, app: Flask) -> Iterator[int]:
    """The app on a real server."""
    if request.param == "werkzeug":
        development = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=development.serve_forever, args=(0.02,))
        thread.start()
        yield development.port
        development.shutdown()
        thread.join(10)
    else:
        with site.reserved_port() as listening, site.serving(app, listening):
            yield listening.getsockname()[1]


def made(**fields: Any) -> str:
    """Make a bin and return its address."""
    return factories.written(lambda session: request_bins.add(session, fields).url(""))


def kept() -> list[BinRequest]:
    """All requests, oldest first."""
    return factories.rows(BinRequest)


def only() -> BinRequest:
    [row] = kept()
    return row


def send(port: int, line: str, headers: str = "", body: bytes = b"") -> bytes:
    """Send bytes as they are and return all of the answer."""
    head = f"{line} HTTP/1.1\nHost: h\n{headers}Connection: close\n\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


@pytest.mark.parametrize("method", METHODS)
def test_any_method_is_caught_on_a_real_server(port: int, place: str, method: str) -> None:
    answer = send(port, f"{method} {place}/a%2fb/../c;d?x=%20&y")
    if b" 501 " in answer.splitlines()[0]:  # http.server knows none but those it has a function for
        pytest.fail(f"{method} did not reach the app")
    assert answer.split(b" ")[1] == b"200"
    row = only()
    assert (row.method, row.path, row.query) == (method, "/a%2fb/../c;d", "x=%20&y")


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "//", "/a", "/a/", "//a//b", "/%20", "/%00", "/%ff", "/..", "/a%2Fb", "/<script>"),
        *("/?", "/a?b?c#d"),
    ],
)
def test_whatever_follows_the_token_is_caught(port: int, place: str, path: str) -> None:
    answer = send(port, f"POST {place}{path}", "Content-Length: 2\n", b"hi")
    assert answer.split(b" ")[1] == b"200", answer
    row = only()
    assert row.kept == b"hi"
    assert row.path == path.partition("?")[0]


def test_what_may_not_stand_in_a_request_line_is_encoded(client: FlaskClient, place: str) -> None:
    line = f"{place}/\xc3\xa9\x00 \xff?q"
    client.get(place, environ_overrides={"REQUEST_URI": line, "QUERY_STRING": "\xff\t<b>"})
    assert (only().path, only().query) == ("/%C3%A9%00%20%FF", "%FF%09<b>")


def test_without_request_line_the_path_is_encoded_anew(client: FlaskClient, place: str) -> None:
    for path in ("/a b/é", "/", ""):
        client.get(place + path, environ_overrides={"REQUEST_URI": "", "RAW_URI": ""})
    assert [row.path for row in kept()] == ["/a%20b/%C3%A9", "/", ""]


def test_headers_stand_in_the_order_in_which_they_came(port: int, place: str) -> None:
    headers = "X-Zebra: 1\nAuthorization: Bearer x\nX-Ape: caf\xe9\nX-Empty:\n"
    send(port, f"POST {place}", f"{headers}Content-Type: a/b\nContent-Length: 0\n")
    pairs = [(name, value) for name, value in only().pairs if name not in ("Connection", "Content-Length")]
    ours = [pair for pair in pairs if pair[0] not in ("Content-Type",)]
    assert ours == [
        ("Host", "h"), ("X-Zebra", "1"), ("Authorization", "Bearer x"), ("X-Ape", "caf\xe9"), ("X-Empty", ""),
    ]  # fmt: skip
    assert ("Content-Type", "a/b") in pairs


@pytest.mark.parametrize(
    "body", [b"\0", b"\xff\xfe\xfd", b"a=1&b=2", b"--x\r\n", bytes(range(256)) * 4, b"{" * 5000]
)
@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data; boundary=x", "a", "text/html; charset=\xff"]
)
def test_any_body_is_caught_whole(client: FlaskClient, place: str, body: bytes, kind: str) -> None:
    assert client.post(place, data=body, headers={"Content-Type": kind}).status_code == 200
    row = only()
    assert (row.kept, row.size) == (body, len(body))


@pytest.mark.parametrize("size", [0, 5, request_bins.BODY_KEPT + 1, 3 * MEGABYTE])
def test_a_body_in_chunks_is_caught(port: int, place: str, size: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    parts = [b"x" * 65536] * (size // 65536) + [b"y" * (size % 65536)]
    in_chunks = {"Transfer-Encoding": "chunked"}
    connection.request("POST", place, iter(filter(None, parts)), in_chunks, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    row = only()
    assert (row.kept, row.size) == (b"".join(parts)[: request_bins.BODY_KEPT], size)


def test_a_body_above_the_limit_is_refused_with_a_reason(client: FlaskClient, place: str) -> None:
    limit = request_checks.BLUEPRINT_LIMIT_BYTES["bins"]
    assert client.post(place, data=b"x" * limit).status_code == 200
    refused = client.post(place, data=b"x" * (limit + 1))
    assert refused.status_code == 413
    assert "too long" in refused.get_json()["error"]["message"]
    in_chunks = {
        "headers": {"Transfer-Encoding": "chunked"},
        "environ_overrides": {"wsgi.input_terminated": True},
    }
    assert client.post(place, data=b"x" * (limit + 1), **in_chunks).status_code == 413
    assert only().size == limit


@pytest.mark.parametrize("length", ["9", "-1", "x", "99999999999999999999999", "1e1", ""])
def test_wrong_lengths_break_nothing(client: FlaskClient, place: str, length: str) -> None:
    answer = client.post(place, data=b"hello", environ_overrides={"CONTENT_LENGTH": length})
    assert answer.status_code in (200, 400, 413)
    assert len(kept()) == (answer.status_code == 200)


def test_a_sender_who_goes_away_in_the_middle_leaves_nothing(port: int, place: str) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"POST {place} HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhello".encode())
    assert send(port, f"GET {place}/after").split(b" ")[1] == b"200"
    assert [row.path for row in kept()] == ["/after"]


@pytest.mark.parametrize("method", ["", "A B", "GÉT", "X" * 21, "<b>"])
def test_what_is_no_method_is_refused(client: FlaskClient, place: str, method: str) -> None:
    environ = {"REQUEST_METHOD": method.encode().decode("latin-1")}
    assert client.open(place, environ_overrides=environ).status_code == 400
    assert kept() == []


def test_an_address_that_no_column_holds_is_refused(client: FlaskClient, place: str) -> None:
    for address in (f"{place}/{'x' * 33_000}", f"{place}?{'x' * 33_000}"):
        assert client.get(address).status_code == 414
    assert kept() == []


@pytest.mark.parametrize("token", ["x", "%00", "é", "x" * 5000, "0" * 24, "%2e%2e", "'--"])
def test_a_bin_that_is_not_there_is_404(client: FlaskClient, place: str, token: str) -> None:
    for address in (f"/bin/{token}", f"/bin/{token}/a", place.upper().replace("/BIN", "/bin"), place[:-1]):
        assert client.post(address, data=b"x").status_code == 404
    assert kept() == []


def test_a_bin_answers_as_it_is_set_and_never_as_a_page(client: FlaskClient) -> None:
    script, policy = "<script>alert(1)</script>", response_headers.RESPONSE_HEADERS["Content-Security-Policy"]
    for kind in ("text/plain", "application/json"):
        answer = client.get(made(name=kind, status=202, body=script, type=kind))
        assert (answer.status_code, answer.text) == (202, script)
        assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == policy


@pytest.mark.parametrize("status", [204, 205, 301, 304, 308, 401, 410, 599])
def test_any_status_is_answered_as_http_wants_it(port: int, status: int) -> None:
    place = made(status=status, body="words")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for _ in range(2):  # the second shows that nothing was left of the first
        connection.request("POST", place, b"hello")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == status
        assert body == (b"" if status in (204, 205, 304) else b"words")
        assert answer.headers["Location"] is None
    connection.close()
    assert [row.answered for row in kept()] == [status, status]


def test_strangers_get_no_cookie_and_sites_no_leave(client: FlaskClient, place: str) -> None:
    of_another_site = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Cookie": "guestbook_admin=x",
    }
    for method in ("OPTIONS", "POST"):
        answer = client.open(place, method=method, headers=of_another_site)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]
    assert len(kept()) == 2


def test_the_owner_s_login_is_not_kept(client: FlaskClient, place: str) -> None:
    client.set_cookie("guestbook_admin", "secret")
    client.get(place, headers={"X-Other": "kept"})
    [row] = kept()
    assert "kept" in str(row.headers)
    assert "secret" not in str(row.headers)


def test_what_came_is_kept_before_the_delay_and_no_lock_is_held_meanwhile(port: int) -> None:
    slow, quick = made(delay="3"), made()
    start = time.monotonic()
    thread = threading.Thread(target=send, args=(port, f"GET {slow}"))
    thread.start()
    wait_for(lambda: kept(), 20)
    send(port, f"GET {quick}")
    assert thread.is_alive()  # the slow one is not answered yet
    thread.join(20)
    assert time.monotonic() - start >= 3


def test_delays_never_take_all_threads(port: int) -> None:
    slow = made(delay="3")
    took: list[float] = []

    def ask() -> None:
        start = time.monotonic()
        send(port, f"GET {slow}")
        took.append(time.monotonic() - start)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(took) == 8 - WAITERS, 20)
    assert send(port, "GET /healthz").startswith(b"HTTP/1.")
    assert len(took) == 8 - WAITERS  # those that wait still do
    for thread in threads:
        thread.join(20)
    assert [seconds >= 3 for seconds in took] == [False] * (8 - WAITERS) + [True] * WAITERS
    assert len(kept()) == 8


def test_who_sends_while_the_bin_is_deleted_finds_none(
    client: FlaskClient, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = factories.rows(Bin)
    factories.written(lambda session: row_changes.delete_next(session.connection(), Bin, row.id))
    monkeypatch.setattr(request_bins, "find", lambda *_: row.id)
    assert client.post(place).status_code == 404
    assert json.loads(client.post(place).text)["error"]["code"] == "not_found"


def test_headers_without_end_are_cut(client: FlaskClient, place: str) -> None:
    many = {f"X-{number}": "é" * 1000 for number in range(50)}
    assert client.post(place, headers=many).status_code == 200
    kept_ones = only().headers
    assert "X-5" in kept_ones
    assert len(kept_ones) <= request_bins.HEADERS_KEPT


def test_what_had_to_yield_is_stored_once_and_whole(
    client: FlaskClient, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole view runs again, when the body has been read."""
    capture, conflicts = request_bins.capture, [pymysql.OperationalError(1213, "Deadlock found")] * 3

    def yielding(*given: Any) -> Any:
        if conflicts:
            raise OperationalError("INSERT", None, conflicts.pop())
        return capture(*given)

    monkeypatch.setattr(request_bins, "capture", yielding)
    assert client.post(place, data=b"hello").status_code == 200
    assert only().kept == b"hello"

"""What goes wrong is answered by us: with a page for people, with JSON for programs, never with a trace."""

import http.client
import io
import sqlite3
from collections.abc import Iterator

import psycopg
import pymysql
import pytest
from flask import Flask, abort
from sqlalchemy.exc import OperationalError

import guestbook
from guestbook.storage import database, sqlite_file
from guestbook.storage.database import db
from guestbook.web import request_checks
from tests.support import site
from tests.support.visitor import Visitor, by_class, parse, stored, text

AWAY = {"GUESTBOOK_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/nothing"}


def shown(visitor: Visitor, method: str, url: str, **how: object) -> tuple[int, str]:
    response = visitor.open(method, url, **how)
    page = parse(response)
    assert response.content_type == "text/html; charset=utf-8"
    assert [link.attrib["href"] for link in by_class(page, "button")] == ["/"]
    return response.status_code, text(page.find(".//h1"))


@pytest.mark.parametrize(
    "url", ["/nowhere", "/comments/", "/static/nothing.css", "/comments/a/b", "/%00", "/%FF"]
)
def test_a_page_that_is_not_there_says_so(visitor: Visitor, url: str) -> None:
    assert shown(visitor, "GET", url) == (404, "There is no such page")


@pytest.mark.parametrize("host", ["a" * 254, "..", f"{'a' * 64}.example"])
@pytest.mark.parametrize("url", ["/", "/admin/", "/healthz", "/api/v1/comments"])
def test_a_request_whose_host_is_none_is_refused_without_a_trace(app: Flask, url: str, host: str) -> None:
    response = app.test_client().get(url, headers={"Host": host})
    assert response.status_code == 400
    assert host not in response.text
    assert response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("method", "url"), [("GET", "/comments"), ("DELETE", "/"), ("PROPFIND", "/"), ("POST", "/")]
)
def test_a_method_that_is_not_for_this_address_says_so(visitor: Visitor, method: str, url: str) -> None:
    assert shown(visitor, method, url) == (405, "That cannot be done here")
    assert "OPTIONS" in visitor.open(method, url).headers["Allow"]


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("path", ["", "/api/v1"])
def test_no_error_of_a_get_speaks_of_changes(app: Flask, visitor: Visitor, path: str, status: int) -> None:
    app.add_url_rule(f"{path}/broken", view_func=lambda: abort(status), methods=["GET", "POST"])
    assert "Nothing was" not in visitor.get(f"{path}/broken").text
    said = visitor.open("POST", f"{path}/broken").text
    assert "Nothing was" in said or (path, status) == ("/api/v1", 422)


def test_an_error_of_an_admin_page_does_not_say_that_there_is_no_cookie(visitor: Visitor) -> None:
    page = parse(visitor.open("GET", "/admin/nowhere"))
    assert [link.attrib["href"] for link in by_class(page, "button")] == ["/admin/"]
    assert text(page.find(".//footer")).strip() == "Guestbook"


def test_too_much_is_refused_with_advice(visitor: Visitor) -> None:
    data = {"message": "x" * request_checks.DEFAULT_LIMIT_BYTES}
    status, title = shown(visitor, "POST", "/comments", data=data)
    assert (status, title) == (413, "That is too long")
    assert stored() == []


def test_the_longest_message_of_the_largest_characters_fits(visitor: Visitor) -> None:
    assert visitor.sign(message="😀" * 4000).status_code == 303
    assert stored()[0].message == "😀" * 4000


@pytest.mark.parametrize(("extra", "status"), [(0, 422), (1, 413)])
def test_a_body_of_unknown_length_is_measured(visitor: Visitor, extra: int, status: int) -> None:
    response = visitor.client.post(
        "/comments",
        input_stream=io.BytesIO(b"name=" + b"x" * (request_checks.DEFAULT_LIMIT_BYTES - 5 + extra)),
        content_type="application/x-www-form-urlencoded",
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert response.status_code == status


@pytest.fixture
def port(app: Flask) -> Iterator[int]:
    with site.reserved_port() as listening, site.serving(app, listening):
        yield listening.getsockname()[1]


@pytest.mark.parametrize(("size", "status"), [(60_000, 422), (70_000, 413)])
def test_a_chunked_body_is_measured_by_a_real_server(port: int, size: int, status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    parts = iter([b"message=", *[b"x" * 1000] * (size // 1000)])
    connection.request("POST", "/comments", parts, headers, encode_chunked=True)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status == status
    assert (b"x" * size in body) == (status == 422)  # all of the text came back, or none of it


def test_our_mistakes_show_a_page_and_are_logged(broken: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    assert shown(broken, "GET", "/broken") == (500, "Something went wrong on our side")
    assert "ZeroDivisionError" in caplog.text
    assert "ZeroDivisionError" not in broken.get("/broken").text


@pytest.mark.parametrize(
    ("method", "url", "status", "code"),
    [
        ("GET", "/api/nowhere", 404, "not_found"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("GET", "/api/broken", 500, "internal_server_error"),
    ],
)
def test_errors_have_one_shape(broken: Visitor, method: str, url: str, status: int, code: str) -> None:
    response = broken.open(method, url)
    assert (response.status_code, response.content_type) == (status, "application/json")
    assert response.get_json()["error"]["code"] == code
    assert response.get_json()["error"]["message"]


def test_when_the_database_is_away_readers_are_asked_to_come_back(environ: dict[str, str]) -> None:
    visitor = Visitor(guestbook.create_app(environ | AWAY))
    assert shown(visitor, "GET", "/") == (503, "The book cannot be reached")
    assert visitor.get("/").headers["Retry-After"] == "60"


def test_a_book_whose_tables_nobody_has_made_says_so(each_empty_environ: dict[str, str]) -> None:
    app = guestbook.create_app(each_empty_environ)
    visitor = Visitor(app)
    assert shown(visitor, "GET", "/") == (503, "The book cannot be reached")
    answer = visitor.get("/")
    assert answer.headers["Retry-After"] == "60"
    assert "or run this on the server: flask --app guestbook init-db" in answer.text
    assert visitor.get("/admin/login").headers["Location"] == "/admin/setup/"
    assert "init-db" in visitor.get("/api/comments").get_json()["error"]["message"]
    assert visitor.get("/healthz").status_code == 503
    with app.app_context():
        db.engine.dispose()


def test_a_pool_without_a_free_connection_is_away_for_a_moment(environ: dict[str, str]) -> None:
    app = guestbook.create_app(environ)
    with app.app_context():
        database.create_tables(db.engine)
        pool = db.engine.pool
        pool._timeout = 0.1  # type: ignore[attr-defined]  # seconds instead of thirty
        held = [db.engine.connect() for _ in range(pool.size() + pool._max_overflow)]  # type: ignore[attr-defined]  # of QueuePool
        assert shown(Visitor(app), "GET", "/") == (503, "The book cannot be reached")
        for connection in held:
            connection.close()
        db.engine.dispose()


def test_a_redirect_names_no_host_that_a_stranger_chose(visitor: Visitor) -> None:
    for address in ("/admin/comments?status=spam", "/admin//comments/?status=spam"):
        answer = visitor.get(address, headers={"Host": "evil.example"})
        assert (answer.status_code, answer.headers["Location"]) == (308, "/admin/comments/?status=spam")
        assert "evil" not in answer.text
        assert 'href="/admin/comments/?status=spam"' in answer.text


def busy() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


CONFLICTS = [
    *(psycopg.errors.lookup(code)("conflict") for code in ("40001", "40P01", "55P03")),
    *(pymysql.OperationalError(code, "conflict", sqlstate="HY000") for code in (1020, 1205, 1213, 1412)),
    busy(),
]


@pytest.mark.parametrize("conflict", CONFLICTS, ids=repr)
def test_what_had_to_yield_to_another_is_done_again(app: Flask, conflict: Exception) -> None:
    yields: list[Exception] = [OperationalError("UPDATE", None, conflict)] * 4

    def act() -> str:
        if yields:
            raise yields.pop()
        return "done"

    app.add_url_rule("/act", "act", act, methods=["POST"])
    assert Visitor(app).open("POST", "/act").status_code == 200
    assert yields == []


def test_a_writer_that_has_waited_for_its_turn_does_not_wait_a_second_time(app: Flask) -> None:
    tries: list[str] = []

    def act() -> str:
        tries.append("begin")
        raise OperationalError(sqlite_file.TAKE_TURN, None, busy())

    app.add_url_rule("/act", "act", act, methods=["POST"])
    assert Visitor(app).open("POST", "/act").status_code == 503
    assert tries == ["begin"]

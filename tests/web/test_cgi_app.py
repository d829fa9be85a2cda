"""By CGI a page for readers needs no SQLAlchemy, and is the page that a server gives, whatever is wrong."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

import guestbook
from guestbook.comments import comment_actions
from guestbook.storage.database import db
from guestbook.storage.models import Origin
from guestbook.web import Application, cgi_app
from tests.conftest import running, settings_for
from tests.support import databases, factories
from tests.support.owner import Owner
from tests.support.processes import ROOT
from tests.support.visitor import Visitor, add, by_class, set_

HEAVY = {
    *("sqlalchemy", "flask_sqlalchemy", "flask_wtf", "wtforms", "alembic"),
    *("jsonschema", "requests", "urllib3"),
    *("flask_babel", "babel"),  # English needs none of it,
    "zoneinfo",  # and UTC no zone
    *("guestbook.storage.models", "guestbook.storage.database", "guestbook.web.admin", "guestbook.web.api"),
    *("guestbook.cli", "guestbook.inbound", "guestbook.outbound", "guestbook.queue", "guestbook.background"),
}
TOKEN = re.compile(rb'name="token" value="[^"]+"')
CHANGING = ("Date", "X-Request-Id")
NUMBER = re.compile(rb"<code>[0-9a-f]{12}</code>")
# As deploy/cgi/index.cgi begins and ends.
CGI_PROGRAM = """
import sys
from wsgiref.handlers import CGIHandler
from guestbook import create_app
CGIHandler().run(create_app())
print(*sys.modules, file=sys.stderr)
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return settings_for(tmp_path, f"sqlite:///{tmp_path}/guestbook.db")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is one of CGI's, asked for the front page."""
    monkeypatch.setenv("GATEWAY_INTERFACE", "CGI/1.1")
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    monkeypatch.setenv("PATH_INFO", "/")


def by_cgi(environ: dict[str, str]) -> Flask:
    """Return a reader's app, where anything that is left to the whole app fails the test."""

    def whole(_given: object) -> Flask:
        raise AssertionError("this was left to the whole app")

    return cgi_app.make(environ, whole)


def same(one: TestResponse, other: TestResponse) -> bool:
    def shown(answer: TestResponse) -> tuple[object, ...]:
        headers = [(name, value) for name, value in answer.headers if name not in CHANGING]
        body = NUMBER.sub(b"", TOKEN.sub(b"", answer.data))
        return answer.status_code, sorted(headers), body, "X-Request-Id" in answer.headers

    assert shown(one) == shown(other)
    return True


@pytest.fixture
def ids(app: Flask) -> list[str]:  # noqa: ARG001  the factories fill it
    """A book of two pages with a reply, an origin and a hidden comment, oldest first."""
    made = add([f"{number} of https://example.org" for number in range(25)], website="https://a.example")
    factories.change(made[-1], comment_actions.reply, "Thank you")
    origin = Origin(comment_id=made[-2], name="elsewhere", url="https://elsewhere.example")
    factories.written(lambda session: session.add(origin))
    set_(title="Our <island>", theme="dark")
    return [*made, *add(["unseen"], status="held")]


@pytest.mark.parametrize("is_closed", [False, True])
def test_pages_are_the_same(app: Flask, environ: dict[str, str], ids: list[str], is_closed: bool) -> None:
    how = {"closed": "yes", "look": "1999", "own_css": "a {}", "visitor_looks": "yes", "pictures": "drawn"}
    how |= {"contact": "ada@book.example"}
    set_(**how | {"timezone": "Pacific/Kiritimati"} if is_closed else {"closed": "no"})
    urls = ["/", f"/?before={ids[5]}", f"/?signed={ids[3]}", "/?signed=waiting", "/?before=x", "/?before="]
    urls += [f"/comments/{row_id}" for row_id in (ids[0], ids[-2], ids[-3], ids[-1], "x", "0" * 32)]
    urls += ["/button.svg", "/own.css", "/own.css?v=1"]
    urls += ["/pictures/0123456789abcdef.svg", "/pictures/0123456789ABCDEF.svg"]
    urls += [
        "/privacy",
        "/.well-known/security.txt",
        "/favicon.ico",
        "/static/book.css",
        "/static/book.css?v=1",
        "/static/none",
    ]
    reader, server = Visitor(by_cgi(environ)), Visitor(app)
    for url in urls:
        for method in ("GET", "HEAD"):
            by_server = server.open(method, url)
            assert same(reader.open(method, url), by_server), url
            if etag := by_server.headers.get("ETag"):
                known = {"If-None-Match": etag}
                answer = reader.open(method, url, headers=known)
                assert answer.status_code == 304
                assert same(answer, server.open(method, url, headers=known)), url


def test_a_proxy_and_a_base_url_count_as_in_a_server(environ: dict[str, str]) -> None:
    environ |= {"GUESTBOOK_TRUSTED_PROXIES": "1", "GUESTBOOK_BASE_URL": "https://book.example/deep"}
    headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "Host": "book.example"}
    with running(environ) as app:
        for url in ("/", "/comments/x"):
            how = {"headers": headers, "environ_overrides": {"SCRIPT_NAME": "/deep"}}
            assert same(Visitor(by_cgi(environ)).get(url, **how), Visitor(app).get(url, **how))


def _file(environ: dict[str, str]) -> Path:
    return Path(environ["GUESTBOOK_DATA_DIR"]) / "guestbook.db"


FAULTS = {  # what somebody has done to the file → what the page says
    "UPDATE alembic_version SET version_num = '0024'": "The book is being updated",
    "UPDATE alembic_version SET version_num = '9999'": "The book is being updated",
    "DROP TABLE replies": "Its owner can open /admin/ or run this on the server: ",
    "ALTER TABLE comments RENAME COLUMN website TO old": "its owner must update the tables",
    "ALTER TABLE settings RENAME COLUMN value TO old": "its owner must update the tables",
    "no database at all, but long enough to be one" * 99: "its owner must repair it",
}


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[:20])
def test_faults_read_the_same(environ: dict[str, str], fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(environ):
        pass
    if fault.startswith("no database"):
        _file(environ).write_text(fault)
    else:
        with closing(sqlite3.connect(_file(environ))) as connection, connection:
            connection.execute(fault)
    reader = guestbook.create_app(environ)
    assert type(reader) is Flask
    with monkeypatch.context() as patched:
        patched.delenv("GATEWAY_INTERFACE")
        server = guestbook.create_app(environ)
    assert type(server) is Application
    answer = Visitor(reader).get("/")
    assert FAULTS[fault] in answer.text
    assert same(answer, Visitor(server).get("/"))
    with server.app_context():
        db.engine.dispose()


@pytest.mark.usefixtures("asked")
def test_a_book_that_is_locked_is_away(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with running(environ):
        pass
    reader = guestbook.create_app(environ)
    monkeypatch.setattr(cgi_app, "READER_WAIT", 0.01)
    with closing(sqlite3.connect(_file(environ), isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        answer = Visitor(reader).get("/")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert Visitor(guestbook.create_app(environ)).get("/").status_code == 200


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me@127.0.0.1:1/book",
        "sqlite:///guestbook.db?journal_mode=delete",
        "sqlite:///none.db",
    ],
)
def test_a_book_elsewhere_has_the_whole_app(environ: dict[str, str], url: str) -> None:
    environ["GUESTBOOK_DATABASE_URL"] = url
    assert type(guestbook.create_app(environ)) is Application


def test_the_owner_has_buttons_by_cgi_too(
    app: Flask, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    add(["Hello"])
    owner = Owner(app).be_logged_in()
    cookie = owner.client.get_cookie("guestbook_admin")
    assert cookie
    request.getfixturevalue("asked")
    monkeypatch.setenv("HTTP_COOKIE", f"guestbook_admin={cookie.value}")
    theirs, visitor = Visitor(guestbook.create_app(environ)), Visitor(guestbook.create_app(environ))
    theirs.client.set_cookie("guestbook_admin", cookie.value)
    assert by_class(theirs.page("/"), "owner")
    assert by_class(visitor.page("/"), "owner") == []


@pytest.mark.usefixtures("asked")
def test_only_pages_for_readers_have_this_app(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = "/ /comments/x /static/book.css /favicon.ico /own.css /button.svg /pictures/0123456789abcdef.svg"
    others = "/pictures/ /comments /comments/x/y /admin/ /api/v1/comments /healthz /nowhere"
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        monkeypatch.setenv("REQUEST_METHOD", method)
        for path in (*pages.split(), *others.split()):
            is_page = path in pages.split() and method in ("GET", "HEAD")
            assert cgi_app.is_for_readers(path) == is_page, (method, path)


@pytest.mark.parametrize("page", ["front", "older", "one", "signed", "missing"])
def test_a_reader_s_page_imports_nothing_heavy(environ: dict[str, str], ids: list[str], page: str) -> None:
    databases.no_process()
    queries = {"older": f"before={ids[5]}", "signed": f"signed={ids[3]}"}
    paths = {"one": f"/comments/{ids[3]}", "missing": f"/comments/{'0' * 32}"}
    request = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": "GET",
        "PATH_INFO": paths.get(page, "/"),
        "QUERY_STRING": queries.get(page, ""),
        "SERVER_NAME": "book.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    command = [sys.executable, "-W", "error", "-c", CGI_PROGRAM]
    done = subprocess.run(
        command, cwd=ROOT, env=environ | request, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("Status: 404" if page == "missing" else "Status: 200"), done.stdout
    imported = set(done.stderr.split())
    assert "guestbook.web.public_pages" in imported
    assert imported & HEAVY == set()


@pytest.mark.usefixtures("app")
def test_each_connection_is_closed(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect
    reader = Visitor(by_cgi(environ))

    def note(*values: object, **named: object) -> sqlite3.Connection:
        opened.append(connect(*values, **named))  # type: ignore[call-overload]  # passed on
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", note)
    assert reader.get("/").status_code == 200
    assert len(opened) == 1
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")
    factories.sql("UPDATE comments SET name = 'x'")

"""Browsers get stylesheets, scripts and public pages compressed; all others get them as they are."""

import gzip

import pytest
from flask import Flask

from tests.support import factories
from tests.support.visitor import Visitor, set_

AS_BROWSERS = {"Accept-Encoding": "gzip, deflate, br, zstd"}


@pytest.fixture
def own_css(app: Flask) -> str:  # noqa: ARG001  the factories fill it
    css = "body { color: red }\n" * 50
    set_(own_css=css)
    return css.strip()


@pytest.mark.parametrize("url", ["/static/book.css", "/static/book.css?v=1", "/static/admin.js", "/own.css"])
@pytest.mark.usefixtures("own_css")
def test_a_browser_gets_a_stylesheet_compressed(visitor: Visitor, url: str) -> None:
    plain = visitor.get(url)
    small = visitor.get(url, headers=AS_BROWSERS)
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.data) == plain.data
    assert int(small.headers["Content-Length"]) == len(small.data) < len(plain.data) / 2
    for answer in (plain, small):
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert answer.headers["Cache-Control"] == plain.headers["Cache-Control"]


@pytest.mark.parametrize("url", ["/static/book.css", "/own.css"])
@pytest.mark.usefixtures("own_css")
def test_one_that_the_browser_has_is_not_sent_again(visitor: Visitor, url: str) -> None:
    etag = visitor.get(url, headers=AS_BROWSERS).headers["ETag"]
    assert etag.startswith('W/"')
    again = visitor.get(url, headers=AS_BROWSERS | {"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    head = visitor.open("HEAD", url, headers=AS_BROWSERS)
    assert (head.status_code, head.headers["ETag"], head.data) == (200, etag, b"")


@pytest.mark.parametrize("url", ["/", "/privacy"])
def test_a_browser_without_a_cookie_gets_a_page_compressed(visitor: Visitor, url: str) -> None:
    factories.sign("Grüße 🎈 " * 20)
    plain = visitor.get(url)
    small = visitor.get(url, headers=AS_BROWSERS)
    assert small.headers["Content-Encoding"] == "gzip"
    unpacked = gzip.decompress(small.data).decode()
    assert unpacked.splitlines()[:5] == plain.text.splitlines()[:5]
    assert len(small.data) < len(plain.data) / 2
    assert "Accept-Encoding" in plain.headers["Vary"]
    again = visitor.get(url, headers=AS_BROWSERS | {"If-None-Match": small.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_page_that_may_hold_what_only_its_visitor_knows_is_not_compressed(visitor: Visitor) -> None:
    visitor.client.set_cookie("guestbook_signed", "x")
    answer = visitor.get("/", headers=AS_BROWSERS)
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    "url", ["/static/mark.svg", "/static/none.css", "/feed.atom", "/admin/login", "/healthz"]
)
def test_everything_else_stays_as_it_is(visitor: Visitor, url: str) -> None:
    answer = visitor.get(url, headers=AS_BROWSERS)
    assert "Content-Encoding" not in answer.headers
    assert "Accept-Encoding" not in answer.headers.get("Vary", "")


def test_a_part_of_a_file_is_a_part_of_the_file_itself(visitor: Visitor) -> None:
    whole = visitor.get("/static/book.css").data
    part = visitor.get("/static/book.css", headers=AS_BROWSERS | {"Range": "bytes=10-19"})
    assert (part.status_code, part.data) == (206, whole[10:20])

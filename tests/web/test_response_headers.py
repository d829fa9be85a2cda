"""Every answer carries the headers that keep a slip of ours harmless."""

import re
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from guestbook.web import request_checks
from tests.support.visitor import TIMES_SCRIPT, Visitor, add, parse, scripts

ANSWERS = [
    *((method, "/", 200) for method in ("GET", "HEAD", "OPTIONS")),
    *(("GET", url, 200) for url in ("/static/book.css", "/static/mark.svg", "/healthz")),
    *(("GET", url, 404) for url in ("/nowhere", "/?before=x", "/api/nowhere")),
    *(("GET", "/comments", 405), ("BREW", "/", 405), ("POST", "/comments", 422), ("GET", "/broken", 500)),
]


@pytest.mark.parametrize(("method", "url", "status"), ANSWERS)
def test_every_answer_has_the_headers(broken: Visitor, method: str, url: str, status: int) -> None:
    response = broken.open(method, url)
    assert response.status_code == status
    assert_guarded(response.headers, runs_script=url == "/" and status == 200 and method != "OPTIONS")


@pytest.mark.parametrize(
    ("base_url", "sent"),
    [
        ("https://book.example", "max-age=15768000"),
        ("https://book.example:443/below", "max-age=15768000"),
        ("https://book.example:8443", None),
        ("http://book.example", None),
    ],
)
def test_https_is_kept(app: Flask, monkeypatch: pytest.MonkeyPatch, base_url: str, sent: str | None) -> None:
    at = replace(app.config["GUESTBOOK"], base_url=base_url)
    monkeypatch.setitem(app.config, "GUESTBOOK", at)
    for url in ("/", "/nowhere", "/static/book.css", "/admin", "/healthz", "/api/v1/comments"):
        assert Visitor(app).get(url).headers.get("Strict-Transport-Security") == sent, url


def test_redirects_refusals_and_not_modified_have_them_too(visitor: Visitor) -> None:
    assert_guarded(visitor.sign().headers)
    too_long = "x" * (request_checks.DEFAULT_LIMIT_BYTES + 1)
    assert_guarded(visitor.client.post("/comments", data=too_long).headers)
    [comment_id] = add(["Hello"])
    etag = visitor.get(f"/comments/{comment_id}").headers["ETag"]
    known = visitor.get(f"/comments/{comment_id}", headers={"If-None-Match": etag})
    assert_guarded(known.headers, runs_script=True)


def assert_guarded(headers: Any, *, runs_script: bool = False) -> None:
    sent = dict(headers)
    policy = dict(part.strip().split(" ", 1) for part in sent["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        **({"script-src": "'self'"} if runs_script else {}),
    }
    assert sent["X-Content-Type-Options"] == "nosniff"
    assert sent["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert sent["Cross-Origin-Opener-Policy"] == "same-origin"
    assert sent["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in sent["Permissions-Policy"]
    assert sent["Cache-Control"]


def test_pages_are_asked_for_again_and_our_files_are_kept(visitor: Visitor) -> None:
    page = visitor.get("/")
    assert page.headers["Cache-Control"] == "no-cache"
    links = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert len(links) >= 3
    for link in links:
        assert visitor.get(link).headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "immutable" not in visitor.get(link.partition("?")[0]).headers["Cache-Control"]


def test_no_page_has_a_script_or_a_style_of_its_own(visitor: Visitor) -> None:
    [comment_id] = add(["Hello"])
    urls = ("/", f"/comments/{comment_id}", "/nowhere")
    pages = [*map(visitor.get, urls), visitor.sign(name="")]
    for response in pages:
        assert set(scripts(parse(response))) <= set(TIMES_SCRIPT)
        for element in parse(response).iter():
            assert element.tag != "script" or not element.text
            assert element.tag not in ("style", "iframe", "object", "embed", "base")
            assert not [name for name in element.attrib if name.startswith("on") or name == "style"]

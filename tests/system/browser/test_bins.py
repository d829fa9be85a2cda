"""Chromium at a bin: what arrives while the page is open shows up in it."""

import urllib.request
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from guestbook.storage.database import db
from guestbook.storage.models import Bin
from tests.system.browser.conftest import Open
from tests.system.browser.test_admin import WITH_AND_WITHOUT, reload_page

pytestmark = pytest.mark.needs("chromium")


Post = Callable[[str, bytes], None]


@pytest.fixture
def post(app: Flask) -> Post:
    """Send a body to the only bin, with a path behind its URL."""

    def post(path: str, body: bytes) -> None:
        with app.app_context():
            url = db.session.query(Bin).one().url(app.config["GUESTBOOK"].base_url)
        with urllib.request.urlopen(urllib.request.Request(url + path, body), timeout=10) as answer:
            assert answer.status == 200

    return post


@WITH_AND_WITHOUT
def test_a_request_that_comes_while_the_page_is_open_is_shown(
    open_admin: Open, post: Post, scripts: bool
) -> None:
    page = open_admin(java_script_enabled=scripts)
    add_bin(page)
    expect(page.get_by_text("No requests yet.")).to_be_visible()
    post("/first", b'{"hello": "world"}')
    reload_page(page, scripts)
    expect(page.get_by_role("row").filter(has_text="/first")).to_contain_text('{"hello": "world"}')
    post("/second", b"a=<b>1</b>")
    reload_page(page, scripts)
    expect(page.get_by_role("row").nth(1)).to_contain_text("/second")
    expect(page.get_by_role("row")).to_have_count(3)
    page.get_by_role("link", name="second").click()
    expect(page.get_by_role("group").filter(has_text="Form")).to_contain_text("a: <b>1</b>")


def test_the_command_is_copied_as_it_stands(open_admin: Open, post: Post) -> None:
    page = open_admin(permissions=["clipboard-read", "clipboard-write"])
    add_bin(page)
    post("/first", b"\0it's")
    page.get_by_role("link", name="first").click()
    page.get_by_role("button", name="Copy").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("printf '\\000it\\047s' |")
    assert copied == page.locator("#command").text_content()


def add_bin(page: Page) -> None:
    page.goto("/admin/bins/")
    page.get_by_role("link", name="Add a bin").click()
    page.get_by_label("Name").fill("Mine")
    page.get_by_role("button", name="Add the bin").click()
    expect(page.get_by_role("status")).to_contain_text("The bin is added.")

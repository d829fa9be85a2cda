"""Chromium shows the book on a page of another site."""

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.support import site
from tests.support.visitor import add, set_, stored
from tests.system.browser.conftest import PHONE, OpenContext

pytestmark = pytest.mark.needs("chromium")

PATIENCE = 60_000  # milliseconds; on a busy machine a frame takes its time

WITH_SCRIPT = '<h1>My page</h1><a href="{book}">Guestbook</a>\n<script src="{book}embed.js" async></script>'
BY_HAND = '<h1>My page</h1><iframe src="{book}embed" title="Guestbook" width="600" height="900"></iframe>'
POLICIES = {"/no-script": "default-src 'self'", "/no-frame": "default-src 'self'; script-src *"}


@pytest.fixture
def elsewhere(address: str) -> Iterator[str]:
    """A site with a page that shows the book, and with one that does it without a script."""
    other = Flask(__name__)
    for path, page in (("/", WITH_SCRIPT), ("/by-hand", BY_HAND)):
        icon = '<link rel="icon" href="data:,">'
        body = f"<!doctype html><html lang=en>{icon}<title>My page</title>{page.format(book=address)}"
        other.add_url_rule(path, path, lambda body=body: body)
        if path == "/":
            for strict, policy in POLICIES.items():
                answer = body, {"Content-Security-Policy": policy}
                other.add_url_rule(strict, strict, lambda answer=answer: answer)
    with site.reserved_port() as listening, site.serving(other, listening):
        yield site.address(listening)


def allow(*sites: str) -> None:
    set_(embed_sites="\n".join(sites))


def inside(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title=Guestbook]")


def height(page: Page) -> float:
    box = page.locator("iframe").bounding_box()
    assert box
    return box["height"]


def content_height(page: Page) -> float:
    return float(inside(page).locator("html").evaluate("root => root.getBoundingClientRect().height"))


def assert_it_fits(page: Page) -> None:
    """Wait until the frame is as high as its content."""
    for _ in range(PATIENCE // 100):
        if abs(height(page) - content_height(page)) <= 1:
            return
        page.wait_for_timeout(100)
    assert height(page) == content_height(page)


def test_the_frame_sizes_itself_and_one_signs_in_it(elsewhere: str, open_context: OpenContext) -> None:
    allow(elsewhere)
    add([f"Comment {number}" for number in range(15)])
    context = open_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(elsewhere)
    book = inside(page)
    expect(book.locator(".comment")).to_have_count(15, timeout=PATIENCE)
    assert_it_fits(page)
    assert height(page) > 900
    expect(page.get_by_role("link", name="Guestbook", exact=True)).to_have_count(
        0
    )  # the frame is in its place
    page.set_viewport_size({"width": 360, "height": 700})
    assert_it_fits(page)
    book.get_by_label("Name").fill("Grace")
    book.get_by_label("Message").fill("Hello from afar")
    book.get_by_role("button", name="Sign the book").click()
    expect(book.get_by_role("status")).to_contain_text("Thank you, Grace!", timeout=PATIENCE)
    assert [comment.name for comment in stored()][-1] == "Grace"
    assert_it_fits(page)
    assert page.url.startswith(elsewhere)
    assert context.cookies() == []


def test_after_each_click_the_page_around_shows_what_came_of_it(
    elsewhere: str, open_context: OpenContext
) -> None:
    allow(elsewhere)
    add([f"Comment {number}" for number in range(25)])
    context = open_context(viewport=PHONE)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(elsewhere)
    book = inside(page)
    sign, name = book.get_by_role("button", name="Sign the book"), book.get_by_label("Name")
    assert_it_fits(page)
    book.get_by_role("link", name="Sign the book").click()
    expect(name).to_be_in_viewport(timeout=PATIENCE)
    name.fill("Grace")
    book.get_by_label("Message").fill("Hello")
    book.get_by_label("Website").fill("not a website")
    sign.click()
    summary = book.get_by_role("alert")
    expect(summary).to_be_in_viewport(ratio=1, timeout=PATIENCE)
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Website").click()
    expect(book.locator("label[for=website]")).to_be_in_viewport(timeout=PATIENCE)
    book.get_by_label("Website").fill("")
    book.get_by_role("button", name="Preview").click()
    expect(book.get_by_role("heading", name="This is how it will look")).to_be_in_viewport(timeout=PATIENCE)
    sign.click()
    expect(book.get_by_role("status")).to_be_in_viewport(ratio=1, timeout=PATIENCE)
    book.get_by_role("link", name="Older comments").click()
    expect(book.get_by_role("heading", name="Older comments")).to_be_in_viewport(timeout=PATIENCE)


def test_without_scripts_a_frame_by_hand_shows_the_book_and_takes_a_comment(
    elsewhere: str, open_context: OpenContext
) -> None:
    allow(elsewhere)
    context = open_context(java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(f"{elsewhere}/by-hand")
    book = inside(page)
    book.get_by_label("Name").fill("Grace")
    book.get_by_label("Message").fill("Hello")
    book.get_by_role("button", name="Sign the book").click()
    expect(book.get_by_role("status")).to_contain_text("Thank you, Grace!", timeout=PATIENCE)
    assert height(page) >= 900
    assert len(stored()) == 1


@pytest.mark.usefixtures("app")
def test_the_browser_refuses_a_site_that_is_not_allowed(elsewhere: str, browser: Browser) -> None:
    allow("https://friend.example")
    with browser.new_context() as context:
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        for path in ("/", "/by-hand"):
            complaints.clear()
            page.goto(elsewhere + path)
            page.locator("iframe").wait_for(timeout=PATIENCE)
            for _ in range(PATIENCE // 100):
                if complaints:
                    break
                page.wait_for_timeout(100)
            assert "frame-ancestors https://friend.example" in "".join(complaints)
            expect(inside(page).get_by_label("Message")).to_have_count(0)
            expect(page.locator("body > a")).to_have_count(1 if path == "/" else 0)


@pytest.mark.parametrize("path", POLICIES)
def test_a_page_that_forbids_the_script_or_the_frame_shows_the_link_and_no_empty_frame(
    address: str, elsewhere: str, browser: Browser, path: str
) -> None:
    allow(elsewhere)
    with browser.new_context() as context:
        page = context.new_page()
        with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
            page.goto(elsewhere + path)
        expect(page.locator("iframe")).to_have_count(0)
        page.get_by_role("link", name="Guestbook").click()
        expect(page).to_have_url(address)

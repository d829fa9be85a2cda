"""A phone: a comment is held, the chat's message has the link, and one tap on its page publishes it."""

import pytest
from playwright.sync_api import Page, expect

from guestbook.outbound import webhooks
from tests.support import factories
from tests.support.receiver import Receiver
from tests.support.visitor import set_, stored
from tests.system.browser.conftest import PHONE, Open, OpenContext
from tests.system.browser.test_book import fill_in, send

pytestmark = pytest.mark.needs("chromium")
WORDS = "Greetings from the lighthouse"


@pytest.fixture
def link(open_context: OpenContext, receiver: Receiver) -> str:
    """The link in the message of a chat about a comment that a visitor has just written."""
    set_(moderation="all")
    fields = {"url": receiver.url(), "format": "slack"}
    factories.written(lambda session: webhooks.add(session, fields, factories.settings()))
    page = open_context(viewport=PHONE).new_page()
    page.goto("/")
    fill_in(page, "Grace", WORDS)
    send(page)
    expect(page.get_by_text("Thank you")).to_be_visible()
    assert [comment.status for comment in stored()] == ["held"]
    factories.run_pass()
    [request] = receiver.requests
    url: str = request.json["blocks"][1]["elements"][0]["url"]
    return url


def opened(open_book: Open, link: str) -> Page:
    page = open_book(viewport=PHONE, java_script_enabled=False)
    page.goto(link)
    expect(page.get_by_text("Grace wrote")).to_be_visible()
    return page


def test_one_tap_on_a_phone_publishes_and_the_link_is_used_up(open_book: Open, link: str) -> None:
    page = opened(open_book, link)
    assert page.request.head(link).status == page.request.get(link).status == 200
    assert [comment.status for comment in stored()] == ["held"]
    expect(page.locator(".comment-text")).to_contain_text(WORDS)
    publish = page.get_by_role("button", name="Publish", exact=True)
    box = publish.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= PHONE["height"], "it can be tapped without scrolling"
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    publish.click()
    expect(page.get_by_role("heading", name="The comment was published")).to_be_visible()
    assert [comment.status for comment in stored()] == ["published"]
    page.get_by_role("link", name="See it in the book").click()
    expect(page.locator(".message")).to_contain_text(WORDS)
    assert page.request.get(link).status == 410
    page.goto(link)
    expect(page.get_by_role("heading", name="The comment was published")).to_be_visible()

"""An owner in a browser without scripts, from the link that a new book prints to its first webhook."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support import processes
from tests.support.owner import PASSWORD
from tests.system.browser.conftest import PHONE, launched
from tests.system.browser.test_book import fill_in, send

SHOWN_WITHIN = 60.0  # seconds from the start of the book to its first comment's webhook on a page


@contextmanager
def open_page(browser: Browser) -> Iterator[Page]:
    """A page in a browser of a phone that runs no scripts."""
    context = browser.new_context(viewport=PHONE, java_script_enabled=False)
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


@contextmanager
def page_elsewhere() -> Iterator[Page]:
    """The same, in a browser of its own, for tests outside this folder."""
    with sync_playwright() as playwright, launched(playwright) as browser, open_page(browser) as page:
        yield page


def sign(page: Page) -> None:
    """Follow the link to the book, and leave a comment there."""
    page.get_by_role("link", name="http://").click()
    fill_in(page, "Grace", "The first one")
    send(page)
    expect(page.locator(".message")).to_have_text("The first one")


def see_the_first_webhook(page: Page, began: float, said: Callable[[], str], address: str) -> None:
    """Set the book up by the link that it prints, sign it, and see the comment's webhook, all in a minute."""
    processes.wait_for(lambda: "/admin/setup/" in said(), SHOWN_WITHIN, said)
    [link] = re.findall(r"at (\S+/admin/setup/\S+)", said())
    page.goto(link)
    expect(page.get_by_label("Address of the book")).to_have_value(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Name of the book").fill("Ada’s book")
    page.get_by_role("button", name="Set up the book").click()
    expect(page.get_by_role("status")).to_contain_text("Your book is set up")
    page.get_by_role("button", name="Show me a webhook").click()
    there = page.url
    sign(page)
    page.goto(there)
    page.get_by_role("button", name="Look again").click()
    expect(page.locator("main")).to_contain_text("The first one")
    expect(page.locator("main")).to_contain_text("webhook-signature matches")
    assert time.monotonic() - began < SHOWN_WITHIN
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("This link does not work")

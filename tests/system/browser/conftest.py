"""A book on a real waitress, and Chromium in front of it."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.conftest import running
from tests.support import servers, site
from tests.support.owner import Owner
from tests.support.receiver import Receiver

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
ARGUMENTS += ["--disable-site-isolation-trials"]  # a renderer kept ready for each page takes a fifth more
# A third cheaper for pages that are only looked at: in such a browser a click has no effect.
ONLY_LOOKS = "--disable-threaded-compositing"
PHONE = {"width": 390, "height": 844}  # CSS pixels
DESKTOP = {"width": 1280, "height": 900}

EXPECTED_COMPLAINTS = (
    "Failed to load resource: the server responded with a status of 4",  # a 404 or 422 that was asked for
    "Autofocus processing was blocked",  # the test had clicked into a field before it
    "Blocked autofocusing on a",  # in a frame, whose script does it instead
)

Open = Callable[..., Page]
OpenContext = Callable[..., BrowserContext]


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with site.reserved_port() as listening:
        yield listening


@pytest.fixture
def environ(environ: dict[str, str], listening: socket.socket) -> dict[str, str]:
    """The same, at the address where the book really is: cookies and links follow it."""
    return environ | {"GUESTBOOK_BASE_URL": site.address(listening)}


@pytest.fixture
def app(environ: dict[str, str]) -> Iterator[Flask]:
    with running(environ) as app:
        yield app


@pytest.fixture
def address(app: Flask, listening: socket.socket) -> Iterator[str]:
    with site.serving(app, listening):
        yield site.address(listening) + "/"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """The same, begun in another thread: Playwright has an event loop running in this one."""
    with ThreadPoolExecutor(1) as beside:
        receiver = beside.submit(Receiver().start).result()
    yield receiver
    receiver.close()


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with launched(playwright) as browser:
        yield browser


@pytest.fixture(scope="package")
def looking_browser(playwright: Playwright) -> Iterator[Browser]:
    """A browser for tests that click nothing and press no key."""
    with launched(playwright, ONLY_LOOKS) as browser:
        yield browser


@contextmanager
def launched(playwright: Playwright, *more: str) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=servers.chromium(), args=[*ARGUMENTS, *more])
    yield browser
    browser.close()


@pytest.fixture
def open_context(browser: Browser, address: str) -> Iterator[OpenContext]:
    """Open a fresh profile at the book."""
    with fresh_contexts(browser, address) as open_context:
        yield open_context


@pytest.fixture
def open_to_look(looking_browser: Browser, address: str) -> Iterator[OpenContext]:
    """Open a fresh profile at the book, in which nothing is clicked."""
    with fresh_contexts(looking_browser, address) as open_context:
        yield open_context


@contextmanager
def fresh_contexts(browser: Browser, address: str) -> Iterator[OpenContext]:
    """Give a function that opens profiles; what their pages complain of in the console fails the test.

    A script, a style or a picture that the page's own policy forbids is such a complaint.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_context(**options: object) -> BrowserContext:
        context = browser.new_context(base_url=address, **options)  # type: ignore[arg-type]  # passed on
        context.set_default_timeout(10_000)
        context.on(
            "console", lambda message: complaints.append(f"{message.text} ({message.location['url']})")
        )
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        contexts.append(context)
        return context

    yield open_context
    for context in contexts:
        context.close()
    assert [text for text in complaints if not text.startswith(EXPECTED_COMPLAINTS)] == []


@pytest.fixture
def open_book(open_context: OpenContext) -> Iterator[Open]:
    """Open the book as a visitor, who gets no cookie but the one after signing."""
    contexts: list[BrowserContext] = []

    def open_book(**options: object) -> Page:
        contexts.append(open_context(**options))
        page = contexts[-1].new_page()
        page.goto("/")
        return page

    yield open_book
    for context in contexts:
        assert {cookie["name"] for cookie in context.cookies()} <= {"guestbook_signed"}


@pytest.fixture
def open_admin(app: Flask, open_context: OpenContext, address: str) -> Open:
    """Open the admin pages as their owner, logged in or not; the cookie saves typing the password."""
    owner = Owner(app)

    def open_admin(*, logged_in: bool = True, **options: object) -> Page:
        context = open_context(**options)
        if logged_in:
            be_logged_in(owner, context, address)
        page = context.new_page()
        page.goto("/admin/")
        return page

    return open_admin


def be_logged_in(owner: Owner, context: BrowserContext, address: str) -> None:
    """Give a profile the cookie of the owner, who is logged in."""
    name, path = (owner.app.config[f"SESSION_COOKIE_{part}"] for part in ("NAME", "PATH"))
    owner.be_logged_in()
    cookie = owner.client.get_cookie(name, path=path)
    assert cookie
    host = str(urlsplit(address).hostname)
    context.add_cookies([{"name": name, "value": cookie.value, "domain": host, "path": path}])

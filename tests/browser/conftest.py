"""A book on a real waitress, and Chromium in front of it."""

import threading
from collections.abc import Callable, Iterator

import pytest
import waitress
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.conftest import running

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
PHONE = {"width": 390, "height": 844}  # CSS pixels

REFUSED = (
    "Failed to load resource: the server responded with a status of 4"  # a 404 or 422 that was asked for
)

Open = Callable[..., Page]


@pytest.fixture
def app(environ: dict[str, str]) -> Iterator[Flask]:
    with running(environ) as app:
        yield app


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}/"
    server.trigger.pull_trigger(server.close)
    thread.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_book(browser: Browser, address: str) -> Iterator[Open]:
    """Open the book in a fresh profile; what the page complains of in the console fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_book(**options: object) -> Page:
        contexts.append(browser.new_context(**options))  # type: ignore[arg-type]  # passed on
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(address)
        return page

    yield open_book
    for context in contexts:
        assert context.cookies() == []
        context.close()
    assert [text for text in complaints if not text.startswith(REFUSED)] == []

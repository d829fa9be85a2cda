"""Chromium reads the book in each language, and switches without a script."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from flask import Flask
from playwright.sync_api import BrowserContext, expect

from guestbook.storage.preferences import BOOK_LANGUAGES
from tests.support.visitor import add
from tests.system.browser.conftest import DESKTOP, PHONE
from tests.system.browser.test_looks import SCROLLS
from tests.system.browser.test_pages import LOOK_RULES, RUN_AXE

pytestmark = pytest.mark.needs("chromium")

SCREENSHOTS = os.environ.get("GUESTBOOK_TEST_SCREENSHOTS")  # a folder for them


def test_one_click_changes_the_language_without_a_script(
    app: Flask, open_context: Callable[..., BrowserContext]
) -> None:
    [comment_id] = add(app, ["Hello"])
    context = open_context(java_script_enabled=False, locale="fr-CH")
    page = context.new_page()
    page.goto(f"/comments/{comment_id}")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    assert context.cookies() == []
    page.get_by_role("button", name="Deutsch").click()
    expect(page).to_have_url(f"/comments/{comment_id}")
    page.get_by_role("link", name="Alle Einträge").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    assert [cookie["name"] for cookie in context.cookies()] == ["guestbook_language"]
    page.get_by_role("button", name="Français").click()
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    assert context.cookies() == []


@pytest.mark.parametrize("code", BOOK_LANGUAGES)
def test_the_front_page_is_accessible_and_fits_in_each_language(
    app: Flask, open_context: Callable[..., BrowserContext], code: str
) -> None:
    add(app, ["What a lovely book!"], website="https://a.example")
    context = open_context(locale=code)
    context.add_init_script(AXE_SCRIPT)
    page, wrong = context.new_page(), []
    for url in ("/", "/privacy"):
        rules: dict[str, list[str]] = {}
        page.goto(url)
        assert page.locator("html").get_attribute("lang") == code
        for size in (PHONE, DESKTOP, {"width": 320, "height": 800}):
            page.set_viewport_size(size)  # type: ignore[arg-type]  # width and height
            where = f"{url} {code} {size['width']}"
            wrong += [f"{where}: scrolls sideways"] if page.evaluate(SCROLLS) else []
            wrong += [f"{where}: {one['help']}" for one in page.evaluate(RUN_AXE, rules)]
            rules = {"runOnly": LOOK_RULES}  # what else there is does not change with the width
            if SCREENSHOTS:
                path = Path(SCREENSHOTS, f"{where.replace('/', 'book ')}.png")
                page.screenshot(path=path, full_page=True)
    assert not wrong, "\n".join(wrong)

"""Chromium reads the book in each language, and switches without a script."""

import pytest
from flask import Flask
from playwright.sync_api import expect

from guestbook.storage.preferences import BOOK_LANGUAGES, LOOKS
from tests.support.visitor import add, set_
from tests.system.browser.conftest import OpenContext
from tests.system.browser.inspector import NARROW, SCROLLS, Inspector

pytestmark = pytest.mark.needs("chromium")


def test_one_click_changes_the_language_without_a_script(open_context: OpenContext) -> None:
    [comment_id] = add(["Hello"])
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


@pytest.mark.parametrize("code", ["en", "de", "ar"])
def test_the_front_page_is_accessible_and_fits(app: Flask, open_to_look: OpenContext, code: str) -> None:
    add(["What a lovely book!"], website="https://a.example")
    page = open_to_look(locale=code).new_page()
    inspector = Inspector(app, page)
    for url in ("/", "/privacy"):
        page.goto(url)
        assert page.locator("html").get_attribute("lang") == code
        inspector.look_at_page(f"{url} {code}")
    assert not inspector.wrong, "\n".join(inspector.wrong)


def test_no_language_is_too_wide_for_a_narrow_page_in_any_look(
    app: Flask,  # noqa: ARG001  the factories fill it
    open_to_look: OpenContext,
) -> None:
    add(["What a lovely book!"], website="https://a.example", place="Wien")
    page = open_to_look(viewport=NARROW).new_page()
    wide = []
    for look in LOOKS:
        set_(look=look)
        for code in (
            BOOK_LANGUAGES if look == "window" else ("ar",)
        ):  # Its letters and buttons are the widest.
            page.set_extra_http_headers({"Accept-Language": code})
            page.goto("/")
            wide += [f"{look} {code}"] if page.evaluate(SCROLLS) else []
    assert not wide

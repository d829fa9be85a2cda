"""Chromium signs the book."""

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.support.visitor import add, set_, stored
from tests.system.browser.conftest import PHONE, Open

WHEN = datetime(2026, 11, 30, tzinfo=UTC)

pytestmark = pytest.mark.needs("chromium")


def fill_in(page: Page, name: str, message: str, website: str = "") -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Website").fill(website)
    page.get_by_label("Message").fill(message)


def send(page: Page) -> None:
    page.get_by_role("button", name="Sign the book").click()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_visitor_signs_the_book_and_sees_it(open_book: Open, scripts: bool) -> None:
    page = open_book(java_script_enabled=scripts)
    fill_in(page, "Grace", "Hello\nthere", "example.org")
    send(page)
    [comment] = stored()
    expect(page).to_have_url(re.compile(rf"/\?signed={comment.id}#c-{comment.id}$"))
    entry = page.locator(f"#c-{comment.id}")
    expect(entry.locator(".message")).to_have_text("Hello\nthere", use_inner_text=True)
    expect(entry.get_by_role("link", name="Grace", exact=True)).to_have_attribute(
        "href", "https://example.org"
    )
    expect(page.get_by_role("status")).to_contain_text("Thank you, Grace!")
    page.reload()
    assert len(stored()) == 1


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_mistake_keeps_the_text_and_says_why(open_book: Open, scripts: bool) -> None:
    page = open_book(java_script_enabled=scripts)
    fill_in(page, "Grace", "hello " * 700, "not a website")
    send(page)
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("4,199 characters")
    expect(page.get_by_label("Website")).to_have_value("not a website")
    expect(page.get_by_label("Message")).to_have_value(("hello " * 700).strip())
    summary.get_by_role("link", name="Website").click()
    expect(page.get_by_label("Website")).to_be_focused()
    fill_in(page, "Grace", "Hello")
    send(page)
    expect(page.get_by_role("status")).to_contain_text("Thank you")
    assert [comment.message for comment in stored()] == ["Hello"]


def test_a_mood_that_has_left_the_list_is_refused_in_a_sentence_that_fits_a_phone(open_book: Open) -> None:
    set_(moods="tired")
    page = open_book(viewport=PHONE)
    fill_in(page, "Grace", "Hello")
    page.get_by_label("Mood").select_option("tired")
    set_(moods="W" * 40)
    send(page)
    expect(page.get_by_role("alert")).to_contain_text(f"Please choose one of: {'W' * 40}")
    expect(page.get_by_label("Mood").get_by_role("option")).to_have_text(["None", "W" * 40])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_double_click_is_one_comment(open_book: Open) -> None:
    page = open_book()
    fill_in(page, "Grace", "Hello")
    page.get_by_role("button", name="Sign the book").dblclick()
    expect(page.get_by_role("status")).to_contain_text("Thank you")
    assert len(stored()) == 1


def test_a_drawing_stands_as_it_was_typed_and_scrolls_in_its_own_box(open_book: Open) -> None:
    drawing = "\n".join(
        ("+" + "-" * 90 + "+", "|" + " " * 40 + "HELLO" + " " * 45 + "|", "+" + "-" * 90 + "+")
    )
    page = open_book(viewport=PHONE)
    fill_in(page, "Mo", f"  {drawing}")
    send(page)
    assert [comment.message for comment in stored()] == [f"  {drawing}"]
    shown = page.locator(".message.drawn")
    assert shown.evaluate("box => box.innerText") == f"  {drawing}"
    assert shown.evaluate("box => box.scrollWidth > box.clientWidth && box.clientWidth < innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    lefts = shown.evaluate(
        """box => { const range = document.createRange(), text = box.firstChild, found = [];
        for (const place of [2, box.textContent.indexOf("\\n") + 1]) {
            range.setStart(text, place); range.setEnd(text, place + 1);
            found.push(range.getBoundingClientRect().left); }
        return found }"""
    )
    assert lefts[0] > lefts[1] + 10


def test_on_a_phone_one_tap_leads_to_the_form_and_its_fields_are_large(open_book: Open) -> None:
    add([f"Hello {number}" for number in range(20)])
    page = open_book(viewport=PHONE, has_touch=True, is_mobile=True)
    expect(page.get_by_label("Name")).not_to_be_in_viewport()
    page.get_by_role("link", name="Sign the book").tap()
    expect(page.get_by_label("Name")).to_be_in_viewport()
    for field in (page.get_by_label("Name"), page.get_by_label("Message")):
        box = field.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        size = field.evaluate("field => parseFloat(getComputedStyle(field).fontSize)")
        assert size >= 16  # pixels; iOS zooms into smaller ones


def test_the_trap_is_out_of_sight_and_of_reach_of_the_keyboard(open_book: Open) -> None:
    page = open_book(viewport={"width": 1280, "height": 2000})
    expect(page.get_by_label("Message")).to_be_in_viewport()
    expect(page.locator("[name=subject]")).not_to_be_in_viewport()
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.className"))
    assert reached[0] == "skip"
    assert {"name", "website", "message", "button"} < set(reached)
    assert "subject" not in reached

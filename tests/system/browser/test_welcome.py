"""Chromium on the first page of a new book, without scripts too: from a press to a delivery on screen."""

import re

import pytest
from playwright.sync_api import expect

from tests.support import factories
from tests.support.receiver import Receiver
from tests.system.browser.conftest import PHONE, Open
from tests.system.browser.test_admin import WITH_AND_WITHOUT, sign

pytestmark = pytest.mark.needs("chromium")


@WITH_AND_WITHOUT
def test_a_press_shows_a_webhook_and_then_that_of_the_first_comment(open_admin: Open, scripts: bool) -> None:
    page = open_admin(java_script_enabled=scripts, viewport=PHONE)
    page.get_by_role("link", name="show you a webhook").click()
    page.get_by_role("button", name="Show me a webhook").click()
    shown = page.get_by_role("region", name="A webhook")
    expect(shown).to_contain_text("delivered")
    expect(shown.get_by_role("row").filter(has_text="webhook-signature")).to_contain_text("v1,")
    expect(shown).to_contain_text("Nobody wrote this comment, and it is not in your book.")
    shown.get_by_text("How the signature is made").click()
    expect(shown.get_by_role("heading", name="HMAC-SHA256")).to_be_visible()

    sign(page, "Grace", "Is it on?")
    page.goto("/admin/welcome/?step=webhook")
    expect(page.get_by_role("region", name="A webhook")).to_contain_text("waiting")
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("region", name="A webhook")).to_contain_text("Is it on?")


def test_what_was_pasted_gets_a_test(open_admin: Open, receiver: Receiver) -> None:
    page = open_admin(java_script_enabled=False)
    page.goto("/admin/welcome/")
    page.get_by_role("link", name=re.compile("^Tell me about new comments")).click()
    page.get_by_label("Where to").fill(receiver.url("/my-topic"))
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("region")).to_contain_text("The book does not recognise this.")
    page.get_by_label("Service").select_option("ntfy")
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("region")).to_contain_text("it was taken")
    assert [request.json["topic"] for request in receiver.requests] == ["my-topic"]


def test_the_plain_form_of_another_page_signs_the_book(open_admin: Open) -> None:
    page = open_admin(java_script_enabled=False)
    page.goto("/admin/welcome/")
    page.get_by_role("link", name=re.compile("^Put it on my website")).click()
    code = page.locator("#plain-form").text_content()
    page.goto("about:blank")
    page.set_content(f"<!doctype html><title>Mine</title>{code}")
    page.get_by_label("Name").fill("Grace")
    page.get_by_label("Message").fill("From over there")
    page.get_by_role("button", name="Sign the book").click()
    page.get_by_role("region", name="This is how it will look").get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("Thank you, Grace!")
    assert [comment.message for comment in factories.comments()] == ["From over there"]

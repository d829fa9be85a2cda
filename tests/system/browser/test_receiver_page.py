"""Chromium on a receiver's page: redeliver, test and rotate, also without scripts and on a phone."""

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from guestbook.lib import ed25519
from guestbook.storage.models import Webhook
from tests.support import factories
from tests.support.receiver import OK, Answer, Receiver
from tests.support.receiver_person import add_link
from tests.system.browser.conftest import DESKTOP, PHONE, OpenContext

pytestmark = pytest.mark.needs("chromium")
BROKEN = Answer(500, body=b"Out of order")


@pytest.mark.parametrize(
    ("size", "scripts"), [(DESKTOP, True), (PHONE, False)], ids=["desktop with scripts", "phone without"]
)
def test_a_receiver_helps_itself(
    app: Flask,
    receiver: Receiver,
    open_context: OpenContext,
    size: dict[str, int],
    scripts: bool,
) -> None:
    with app.app_context():
        webhook_id = factories.webhook(receiver.url("/hook"), name="Shop", signing_key=ed25519.new_key())
        for _ in range(3):
            factories.delivery(webhook_id, status="failed", last_error="The receiver answered 500.")
        _, address = add_link(webhook_id)
    page = open_context(viewport=size, java_script_enabled=scripts).new_page()
    page.goto(address)
    look(page, "log")
    sizes = page.locator("tbody td").evaluate_all("all => all.map(one => getComputedStyle(one).fontSize)")
    assert len(set(sizes)) == 1, "numbers are as large as all else"
    page.get_by_role("button", name="Redeliver…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Redeliver 3 deliveries?")
    look(page, "ask")
    page.get_by_role("button", name="Redeliver 3 deliveries").click()
    said(page, "3 deliveries are due now.")
    let_cron_come(app)
    assert len(receiver.at("/hook")) == 3

    receiver.answer("/hook", BROKEN)
    page.get_by_role("button", name="Send a ping").click()
    said(page, "The next pass sends it.")
    let_cron_come(app)
    page.reload()
    expect(page.locator("#progress")).to_contain_text("The receiver answered 500.")
    look(page, "delivery")
    receiver.answer("/hook", OK)
    page.get_by_role("button", name="Redeliver").click()
    said(page, "It is due now.")
    let_cron_come(app)
    page.reload()
    expect(page.locator("#progress")).to_contain_text("delivered")

    page.get_by_role("link", name="Shop").click()
    page.get_by_label("Event").select_option("comment.replied")
    page.get_by_role("button", name="Send an example").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("comment.replied")

    page.get_by_role("link", name="Shop").click()
    page.get_by_role("button", name="Rotate secret").click()
    said(page, "The secret is rotated.")
    expect(page.locator("#shown-secret")).to_have_text(stored(app, webhook_id).secret)
    look(page, "rotated")
    before = stored(app, webhook_id).public_key
    page.get_by_label("The old key also signs for").select_option("3 days")
    page.get_by_role("button", name="Rotate key").click()
    said(page, "The key is rotated.")
    after = stored(app, webhook_id).public_key
    assert before != after
    expect(page.locator("#public-key")).to_have_text(str(after))
    expect(page.locator("#facts + dl")).to_contain_text("The old key also signs until")
    look(page, "key")


def said(page: Page, sentence: str) -> None:
    expect(page.get_by_role("status")).to_contain_text(sentence)


def look(page: Page, name: str) -> None:
    """Nothing is wider than the screen."""
    assert page.viewport_size
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def let_cron_come(app: Flask) -> None:
    with app.app_context():
        factories.run_pass()


def stored(app: Flask, webhook_id: str) -> Webhook:
    with app.app_context():
        webhook: Webhook = factories.the(Webhook, webhook_id)
        return webhook

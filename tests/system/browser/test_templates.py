"""Chromium at the form of a webhook: a template is tried before it is saved."""

import pytest
from flask import Flask
from playwright.sync_api import expect

from tests.support import factories
from tests.system.browser.conftest import DESKTOP, PHONE, Open

pytestmark = pytest.mark.needs("chromium")

GOOD = '{"text": {{ (comment.name ~ ": " ~ comment.message)|tojson }}}'


@pytest.mark.parametrize(("scheme", "size"), [("light", DESKTOP), ("dark", PHONE)])
def test_a_template_is_previewed_and_fixed_before_it_is_saved(
    app: Flask, open_admin: Open, scheme: str, size: dict[str, int]
) -> None:
    with app.app_context():
        factories.sign('A "real" comment <b>', name="Grace")
    page = open_admin(color_scheme=scheme, viewport=size)
    page.goto("/admin/webhooks/new")
    page.get_by_label("URL", exact=True).fill("https://receiver.example/hook")
    page.get_by_text("Custom template").click()
    page.get_by_label("Template", exact=True).fill('{"text": "{{ comment.message }}"}')
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("The template does not give JSON")

    page.get_by_label("Template", exact=True).fill(GOOD)
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview pre")).to_contain_text('"text": "Grace: A \\"real\\" comment')

    page.get_by_label("Template", exact=True).press("Tab")
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("The webhook is added.")
    expect(page.get_by_label("Template", exact=True)).to_have_text(GOOD)

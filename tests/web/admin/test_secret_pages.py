"""A new secret is shown to the login that made it, for two minutes, and nobody else can ask for it."""

import pytest
from flask import Flask, g

from guestbook.storage.models import Login, Webhook
from guestbook.web.admin import secret_pages
from tests.web.conftest import Later

WEBHOOK = Webhook(id="0" * 32, secret="whsec_1")


def seal(app: Flask, webhook: Webhook = WEBHOOK) -> str:
    """What the address of the next page gets."""
    with app.test_request_context():
        g.login = Login(id="a" * 64)
        return secret_pages.seal(webhook)


def shown(app: Flask, sealed: str, login_id: str = "a" * 64) -> str | None:
    """The secret that the page of the webhook shows."""
    with app.test_request_context(query_string={"shown": sealed}):
        g.login = Login(id=login_id)
        return secret_pages.new_secret(WEBHOOK)


def test_the_value_fits_into_an_address_and_shows_the_secret_it_was_made_for(app: Flask) -> None:
    sealed = seal(app)
    assert set(sealed) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert shown(app, sealed) == "whsec_1"


@pytest.mark.parametrize(
    "other", [{"id": "1" * 32, "secret": "whsec_1"}, {"id": "0" * 32, "secret": "whsec_2"}]
)
def test_it_serves_no_other_webhook_and_no_other_secret(app: Flask, other: dict[str, str]) -> None:
    assert shown(app, seal(app, Webhook(**other))) is None


def test_it_serves_no_other_login(app: Flask) -> None:
    assert shown(app, seal(app), login_id="b" * 64) is None


@pytest.mark.parametrize("text", ["", ".", "é", "\ufffd", "\0", "WyJhIiwxXQ.x", "x" * 60_000])
def test_what_we_have_not_sealed_shows_nothing(app: Flask, text: str) -> None:
    assert shown(app, text) is None


def test_it_lasts_two_minutes(app: Flask, later: Later) -> None:
    sealed = seal(app)
    later(119)
    assert shown(app, sealed) == "whsec_1"
    later(2)
    assert shown(app, sealed) is None


def test_a_clock_that_was_set_back_makes_it_last_no_longer(app: Flask, later: Later) -> None:
    sealed = seal(app)
    later(-3600)
    assert shown(app, sealed) is None

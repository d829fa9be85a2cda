"""Sealed words: for one purpose, one login and two minutes, and nobody else can make one."""

import pytest
from flask import Flask, g

from guestbook.storage.models import Login
from guestbook.web.admin import signed_value
from tests.web.conftest import Later


@pytest.fixture(autouse=True)
def _request(app: Flask) -> object:
    with app.test_request_context():
        g.login = Login(id="a" * 64)
        yield


@pytest.mark.parametrize("value", ["", "a:b", "é 😀", "x" * 500])
def test_what_is_sealed_can_be_read_again_and_fits_into_an_address(value: str) -> None:
    text = signed_value.seal("secret", value)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert signed_value.unseal("secret", text) == value


def test_it_serves_no_other_purpose_and_no_other_login() -> None:
    text = signed_value.seal("secret", "a")
    assert signed_value.unseal("token", text) is None
    g.login = Login(id="b" * 64)
    assert signed_value.unseal("secret", text) is None


@pytest.mark.parametrize("text", ["", ".", "é", "\ud800", "\0", "WyJhIiwxXQ.x", "x" * 60_000])
def test_what_we_have_not_sealed_is_nothing(text: str) -> None:
    assert signed_value.unseal("secret", text) is None


def test_it_lasts_two_minutes(later: Later) -> None:
    text = signed_value.seal("secret", "a")
    later(119)
    assert signed_value.unseal("secret", text) == "a"
    later(2)
    assert signed_value.unseal("secret", text) is None
    assert signed_value.unseal("secret", text, max_age=600) == "a"


def test_a_clock_that_was_set_back_makes_it_last_no_longer(later: Later) -> None:
    text = signed_value.seal("secret", "a")
    later(-3600)
    assert signed_value.unseal("secret", text) is None

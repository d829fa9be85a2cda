"""The account page: the password, the browsers that are logged in, the tokens of programs."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from guestbook.auth import api_tokens, login
from guestbook.lib import clock, ids
from guestbook.storage import column_types, cron_token
from guestbook.storage.database import db, writing
from guestbook.storage.models import Token
from guestbook.storage.models.owner import SCOPES
from guestbook.web.admin import account
from tests.support import factories
from tests.support.owner import PASSWORD, Owner
from tests.support.visitor import by_class, fields, parse, plain, text

PAGE = "/admin/account/"
NEW = "a new password"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0"
)


def logged_in(app: Flask, browser: str) -> Owner:
    owner = Owner(app)
    assert owner.log_in(headers={"User-Agent": browser}).status_code == 303
    return owner


def stays(owner: Owner) -> bool:
    return owner.get(PAGE).status_code == 200


def reasons(answer: TestResponse) -> dict[str, str]:
    """Field → what is wrong with it."""
    shown = by_class(parse(answer), "reason")
    return {element.attrib["id"].removesuffix("-reason"): text(element) for element in shown}


# --- the password


def change(owner: Owner, old: str = PASSWORD, password: str = NEW, again: str | None = None) -> TestResponse:
    again = password if again is None else again
    return owner.post("/admin/account/password", {"old": old, "password": password, "again": again})


def test_a_new_password_logs_every_other_browser_out(app: Flask, owner: Owner) -> None:
    other, key = logged_in(app, FIREFOX), owner.key()
    before = owner.client.get_cookie("guestbook_admin", path="/")
    page = owner.does("/admin/account/password", {"old": PASSWORD, "password": NEW, "again": NEW})
    assert "The password is changed, and every other browser is logged out." in text(page)
    assert not stays(other)
    assert owner.open("POST", "/admin/logout", data={"csrf_token": key}).status_code == 400, "a new key too"
    after = owner.client.get_cookie("guestbook_admin", path="/")
    assert before
    assert before.value != after.value
    other.client.set_cookie("guestbook_admin", before.value, path="/")
    assert not stays(other), "the cookie from before is dead, wherever it was copied to"
    assert other.log_in().status_code == 422
    assert other.log_in(NEW).status_code == 303


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"old": "wrong"}, "old", "This is not the password."),
        ({"again": NEW + "x"}, "again", "The two passwords differ."),
        ({"password": "nine char"}, "password", "The password must have 10 to 1,000 characters."),
    ],
)
def test_wrong_passwords(app: Flask, owner: Owner, typed: dict[str, str], field: str, sentence: str) -> None:
    answer = change(owner, **typed)
    assert (answer.status_code, reasons(answer)) == (422, {field: sentence})
    sent = fields(parse(answer))
    assert sent["old"] == sent["password"] == sent["again"] == "", "no password stands in a page"
    assert stays(owner)
    assert logged_in(app, FIREFOX)


def test_a_thief_of_a_cookie_has_to_guess_the_password_as_slowly_as_everybody(owner: Owner) -> None:
    statuses = [change(owner, old="wrong").status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]
    answer = change(owner)
    assert "Retry-After" in answer.headers
    assert "Please wait" in reasons(answer)["old"]


def test_a_form_that_lacks_its_fields_is_no_error_of_ours(owner: Owner) -> None:
    assert owner.post("/admin/account/password").status_code == 422
    assert owner.post("/admin/account/tokens").status_code == 422
    assert owner.post("/admin/account/logout-browser").status_code == 303
    assert stays(owner)


# --- browsers


def test_it_says_in_words_where_the_owner_is_logged_in_and_which_one_this_is(app: Flask) -> None:
    for browser in (FIREFOX, SAFARI, "curl/8.9.1 <script>", ""):
        logged_in(app, browser)
    page = logged_in(app, EDGE).page(PAGE)
    rows = [plain(row) for row in page.findall(".//tbody/tr/th")]
    assert rows == [
        "Edge on Windows this browser", "Unknown browser", "curl/8.9.1", "Safari on an iPhone",
        "Firefox on Linux",
    ]  # fmt: skip


def test_another_browser_can_be_logged_out(each_app: Flask) -> None:
    app, owner = each_app, logged_in(each_app, FIREFOX)
    other, third = logged_in(app, FIREFOX), logged_in(app, SAFARI)
    sent = [one.attrib["value"] for one in owner.page(PAGE).iter("input") if one.attrib["name"] == "browser"]
    assert len(sent) == 2, "not this one, for which there is Log out"
    page = owner.does("/admin/account/logout-browser", {"browser": sent[1]})
    assert "That browser is logged out." in text(page)
    assert [stays(one) for one in (owner, other, third)] == [True, False, True]
    for nobody in ("", "x", "é\0", "' OR 1=1"):
        owner.does("/admin/account/logout-browser", {"browser": nobody})
    assert [stays(one) for one in (owner, third)] == [True, True]


def test_log_out_everywhere_ends_this_login_too(app: Flask, owner: Owner) -> None:
    other = logged_in(app, FIREFOX)
    assert "logged out everywhere" in text(owner.does("/admin/account/logout-everywhere"))
    assert [stays(one) for one in (owner, other)] == [False, False]


# --- tokens

TOKEN: dict[str, object] = {"name": "Backup", "scope": "read", "expires": "90d", "confirm": PASSWORD}


def add(owner: Owner, **typed: object) -> Any:
    return owner.post("/admin/account/tokens", TOKEN | typed)


def names() -> list[str]:
    return [token.name for token in factories.rows(Token)]


def test_a_token_is_shown_once_and_opens_the_api_until_it_is_revoked(owner: Owner) -> None:
    answer = add(owner, name=" My  backup <b>{{ 7 * 7 }}</b> ", id=ids.new())
    assert answer.status_code == 200
    [value] = set(re.findall(r"gbk_[\w-]{43}", answer.text))
    assert text(parse(answer).find(".//code[@id='shown']")) == value
    token = factories.read(lambda session: api_tokens.find(session, value))
    assert token.name == "My backup <b>{{ 7 * 7 }}</b>"
    assert value not in repr(vars(token))
    page = owner.page(PAGE)
    assert "My backup <b>{{ 7 * 7 }}</b>" in text(page)
    assert "gbk_" not in text(page)
    page = owner.does(f"/admin/account/tokens/{token.id}/revoke")
    assert f"The token {token.name} is revoked" in text(page)
    assert factories.read(lambda session: api_tokens.find(session, value)) is None


def test_loading_the_answer_anew_makes_no_second_token_and_shows_none(owner: Owner) -> None:
    form = fields(owner.page(PAGE)) | TOKEN
    first = owner.open("POST", "/admin/account/tokens", data=form)
    assert "gbk_" in first.text
    repeated = owner.open("POST", "/admin/account/tokens", data=form)
    assert repeated.status_code == 303
    page = owner.get(PAGE).text
    assert "This token exists already" in page
    assert "gbk_" not in page
    assert names() == ["Backup"]
    for no_id in ("", "x", "A" * 32, "0" * 33, "é"):
        assert add(owner, name=f"Another {no_id}", id=no_id).status_code == 200
    assert len(names()) == 6


@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_gets_the_scope_and_the_end_that_were_chosen(owner: Owner, scope: str) -> None:
    assert f"may {account.SCOPE_MEANINGS[scope]}." in text(parse(add(owner, scope=scope)))
    [token] = factories.rows(Token)
    assert token.scope == scope
    assert token.expires_at
    assert timedelta(days=89) < token.expires_at - clock.now() <= timedelta(days=90)
    page = text(owner.page(PAGE))
    assert "Last used" in page
    assert add(owner, expires="", name="For ever").status_code == 200
    assert factories.rows(Token)[1].expires_at is None
    factories.alter(Token, token.id, expires_at=clock.now())
    assert [text(badge) for badge in by_class(owner.page(PAGE), "failed")] == ["expired"]


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"name": "\u200b\0"}, "name", "The name must have 1 to 80 characters."),
        ({"confirm": "wrong"}, "confirm", "This is not the password."),
        ({"scope": "admin"}, "scope", "There is no scope 'admin'. Choose one of: read, moderate, manage."),
        ({"expires": "1000d"}, "expires", "Choose when it expires."),
    ],
)
def test_a_wrong_token_says_why(owner: Owner, typed: dict[str, object], field: str, sentence: str) -> None:
    answer = add(owner, **typed)
    assert answer.status_code == 422
    assert reasons(answer) == {field: sentence}
    sent = fields(parse(answer))
    assert sent["confirm"] == ""
    assert field == "name" or sent["name"] == "Backup", "what was typed stays"
    assert names() == []


@pytest.mark.parametrize(
    ("ticked", "left", "sentence"),
    [({}, 2, "2 API tokens can still be used."), ({"revoke_tokens": "on"}, 0, "Revoked 2 API tokens.")],
)
def test_new_password_may_revoke(owner: Owner, ticked: dict[str, object], left: int, sentence: str) -> None:
    assert "revoke_tokens" not in owner.get(PAGE).text, "there is nothing to revoke"
    for name in ("One", "Two"):
        add(owner, name=name)
    assert "Also revoke all API tokens" in text(owner.page(PAGE))
    typed: dict[str, object] = {"old": PASSWORD, "password": NEW, "again": NEW}
    assert change(owner, old="wrong").status_code == 422
    assert len(names()) == 2
    assert sentence in text(owner.does("/admin/account/password", typed | ticked))
    assert len(names()) == left


def test_a_password_set_meanwhile_stays(owner: Owner, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    confirm = login.confirm

    def slowly(*args: Any, **options: Any) -> str:
        known = confirm(*args, **options)
        with writing() as session:
            login.set_password(session, "set at that very moment")
        return known

    monkeypatch.setattr(login, "confirm", slowly)
    owner.refused(PAGE + "password", {"old": PASSWORD, "password": NEW, "again": NEW})
    monkeypatch.undo()
    assert Owner(app).log_in(NEW).status_code == 422


# --- the address for a pinger


def test_the_address_for_a_pinger_needs_the_password(app: Flask, owner: Owner) -> None:
    def shown(action: str, password: str = PASSWORD) -> TestResponse:
        form = {"address_password": password, "action": action}
        return owner.post("/admin/account/cron-address", form)

    assert shown("show", "a wrong one").status_code == 422
    addresses = [re.findall(r"https://book.example/cron/[\w-]+", shown("show").text) for _ in range(2)]
    assert addresses[0] == addresses[1] != []
    assert addresses[0][0] not in owner.get(PAGE).text
    assert addresses[0][0] not in shown("rotate").text
    with app.app_context():
        keyring = column_types.keyring_of(db.session.connection())
        column_types.use_keyring(db.engine, replace(factories.settings(), secret_key="another").keyring)
    answer = shown("show")
    assert (answer.status_code, "cannot be decrypted" in answer.text) == (422, True)
    with app.app_context():
        column_types.use_keyring(db.engine, keyring)
    assert shown("remove").status_code == 303
    assert shown("else").status_code == 422
    assert factories.read(cron_token.read) is None

"""The second factor on the pages: set up with an app, asked for at the login, removed, without a script."""

import re
from xml.etree.ElementTree import Element

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from guestbook.auth import second_factor
from guestbook.storage.models import BookState
from guestbook.web.admin.login import SECOND_STEP_KEY, SECOND_STEP_WITHIN
from tests.support import factories
from tests.support.owner import APP_SECRET, PASSWORD, Owner, code_of, turn_second_factor_on
from tests.support.visitor import by_class, fields, parse, plain, text
from tests.web.conftest import Later

PAGE = "/admin/account/second-factor/"
CODE_PAGE = "/admin/login/code"


def act(owner: Owner, action: str, password: str = PASSWORD) -> TestResponse:
    return owner.post(PAGE, {"action": action, "password": password}, PAGE)


def secret_on(page: Element) -> str:
    return text(by_class(page, "key")[0]).replace(" ", "")


def confirm(owner: Owner, setup: Element, code: str | None = None) -> TestResponse:
    typed = code or code_of(secret_on(setup))
    return owner.open("POST", f"{PAGE}confirm", data=fields(setup) | {"code": typed})


def is_on() -> bool:
    return factories.read(second_factor.read) is not None


def reason(answer: TestResponse) -> str:
    return text(by_class(parse(answer), "reason")[0])


def second_step(owner: Owner, code: str, **how: object) -> TestResponse:
    return owner.post(CODE_PAGE, {"code": code}, CODE_PAGE, **how)


# --- set up


def test_it_is_set_up_with_a_picture_a_key_and_the_first_code(owner: Owner, later: Later) -> None:
    assert "It is off." in text(owner.page(PAGE))
    wrong = act(owner, "set-up", "wrong")
    assert (wrong.status_code, reason(wrong)) == (422, "This is not the password.")
    assert not by_class(parse(wrong), "key")
    assert act(owner, "explode").status_code == 422
    answer = act(owner, "set-up")
    assert answer.status_code == 200
    assert not is_on()
    setup = parse(answer)
    [picture] = [one for one in setup.iter() if one.tag.endswith("svg")]
    assert not [name for one in picture.iter() for name in one.attrib if name in ("style", "onload")]
    secret = secret_on(setup)
    [link] = [one.attrib["href"] for one in setup.iter("a") if one.attrib["href"].startswith("otpauth:")]
    assert re.fullmatch(rf"otpauth://totp/Guestbook:[\w.]+\?secret={secret}&issuer=Guestbook", link)
    assert re.fullmatch("[A-Z2-7]{32}", secret)
    done = confirm(owner, setup)
    assert done.status_code == 200
    assert is_on()
    assert len(re.findall(r"(?m)^(?:[a-z2-7]{4}-){3}[a-z2-7]{4}$", text(parse(done)))) >= 9
    assert owner.get("/admin/").status_code == 200, "this browser stays logged in"
    assert "10 of 10 recovery codes are left" in plain(owner.page(PAGE))
    later(60)


def test_a_wrong_first_code_asks_again_and_a_second_form_changes_nothing(owner: Owner) -> None:
    setup = parse(act(owner, "set-up"))
    answer = confirm(owner, setup, "abcdef")
    assert answer.status_code == 422
    assert secret_on(parse(answer)) == secret_on(setup)
    assert not is_on()
    assert confirm(owner, parse(answer)).status_code == 200
    again = confirm(owner, setup)
    assert (again.status_code, "on already" in again.text) == (422, True)
    assert act(owner, "set-up").status_code == 422
    assert is_on()


def test_only_the_secret_that_was_offered_to_this_login_is_taken(app: Flask, owner: Owner) -> None:
    for offer in ("", "x", "é", "IkFBQUEi.aaaaaa.bbbbbbbb"):
        owner.refused(f"{PAGE}confirm", {"offer": offer, "code": "123456"}, on=PAGE)
    setup, other = parse(act(owner, "set-up")), Owner(app)
    other.log_in()
    data = fields(setup) | {"code": code_of(secret_on(setup)), "csrf_token": other.key()}
    assert other.open("POST", f"{PAGE}confirm", data=data).status_code == 422
    assert not is_on()


# --- the login


def test_after_the_password_comes_the_code_and_then_the_page_that_was_wanted(app: Flask) -> None:
    turn_second_factor_on(app)
    owner = Owner(app)
    sent = owner.post("/admin/login", {"password": PASSWORD, "next": "/admin/bins/"}, "/admin/login")
    assert (sent.status_code, sent.headers["Location"]) == (303, "/admin/login/code?next=/admin/bins/")
    page = owner.get(sent.headers["Location"])
    assert page.headers["Cache-Control"] == "no-store"
    form = fields(parse(page))
    assert form["next"] == "/admin/bins/"
    assert owner.get("/admin/").status_code == 303
    done = owner.open("POST", CODE_PAGE, data=form | {"code": code_of(APP_SECRET)})
    assert (done.status_code, done.headers["Location"]) == (303, "/admin/bins/")
    assert owner.get("/admin/bins/").status_code == 200


@pytest.fixture
def halfway(app: Flask) -> Owner:
    """The owner with a second factor, after the password."""
    turn_second_factor_on(app)
    owner = Owner(app)
    owner.log_in()
    return owner


def test_a_wrong_code_or_a_form_without_its_key_opens_nothing_and_a_recovery_code_does(app: Flask) -> None:
    codes = turn_second_factor_on(app)
    owner = Owner(app)
    owner.log_in()
    answer = second_step(owner, "abcdef")
    assert (answer.status_code, "not right" in reason(answer)) == (422, True)
    answer = owner.open("POST", CODE_PAGE, data={"code": code_of(APP_SECRET)})
    assert (answer.status_code, "type the code again" in answer.text) == (400, True)
    assert owner.get("/admin/").status_code == 303
    assert second_step(owner, codes[0]).status_code == 303
    assert owner.get("/admin/").status_code == 200


def test_without_the_password_there_is_no_second_step(app: Flask) -> None:
    turn_second_factor_on(app)
    stranger = Owner(app)
    code = {"code": code_of(APP_SECRET)}
    for answer in (stranger.get(CODE_PAGE), stranger.post(CODE_PAGE, code, "/admin/login")):
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/admin/login")
    assert stranger.get("/admin/").status_code == 303


def test_the_second_step_must_follow_within_minutes(halfway: Owner, later: Later) -> None:
    key = halfway.key(CODE_PAGE)
    later(SECOND_STEP_WITHIN + 1)
    answer = halfway.open("POST", CODE_PAGE, data={"csrf_token": key, "code": code_of(APP_SECRET)})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/login")
    assert halfway.get("/admin/").status_code == 303


@pytest.mark.parametrize("kept", [None, "", [], ["x"], ["x", "y"], [1, 2], {"a": 1}, ["x" * 64, 10**12]])
def test_a_garbled_cookie_is_no_second_step(halfway: Owner, kept: object) -> None:
    with halfway.client.session_transaction("/admin/") as session:
        session[SECOND_STEP_KEY] = kept
    assert halfway.get(CODE_PAGE).status_code == 303


# --- recovery codes, and off


def test_new_recovery_codes_and_the_removal_need_the_password_alone(app: Flask, owner: Owner) -> None:
    codes = turn_second_factor_on(app)
    assert act(owner, "renew", "wrong").status_code == act(owner, "remove", "wrong").status_code == 422
    page = parse(act(owner, "renew"))
    assert "old recovery codes no longer work" in plain(page)
    fresh = text(next(one for one in page.iter("code") if one.attrib.get("id") == "shown")).split()
    assert (len(fresh), set(fresh) & set(codes), is_on()) == (10, set(), True)
    assert act(owner, "remove").status_code == 303
    assert not is_on()
    assert Owner(app).log_in().headers["Location"] == "/admin/"
    assert act(owner, "renew").status_code == 422


def test_the_secret_is_on_no_page_afterwards(owner: Owner) -> None:
    setup = parse(act(owner, "set-up"))
    secret, page = secret_on(setup), parse(confirm(owner, setup))
    codes = text(next(one for one in page.iter("code") if one.attrib.get("id") == "shown")).split()
    for url in (PAGE, "/admin/account/", "/admin/audit/"):
        assert not [one for one in (secret, *codes) if one in owner.get(url).text], url
    stored = factories.written(lambda session: session.get_one(BookState, second_factor.FACTOR_NAME).value)
    assert not [one for one in (secret, *codes) if one in stored]

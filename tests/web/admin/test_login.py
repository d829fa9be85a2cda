"""The login: who gets in, where that leads to, what the cookie is, and what it is worth afterwards."""

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from guestbook.storage.models import Login
from tests.conftest import running
from tests.support import factories
from tests.support.owner import PASSWORD, Owner
from tests.support.visitor import Visitor, by_class, fields, parse, text
from tests.web.conftest import Later

COOKIE = "guestbook_admin"


@pytest.fixture
def newcomer(app: Flask) -> Owner:
    """The owner, not logged in yet."""
    return Owner(app)


def set_cookie(answer: TestResponse) -> list[str]:
    *_, header = answer.headers.getlist("Set-Cookie")  # The first may end the one of older versions.
    return header.split("; ")


def reason(answer: TestResponse) -> str:
    return text(by_class(parse(answer), "reason")[0])


def value_of(visitor: Visitor) -> str:
    cookie = visitor.client.get_cookie(COOKIE, path="/")
    return cookie.value


def replay(app: Flask, value: str) -> int:
    """Send the exact cookie from another browser; return the status of a page of the admin."""
    thief = Visitor(app)
    thief.client.set_cookie(COOKIE, value, path="/")
    return thief.get("/admin/account/").status_code


# --- in


def test_the_password_opens_the_admin_pages(newcomer: Owner) -> None:
    assert newcomer.get("/admin/").headers["Location"] == "/admin/login?next=/admin/"
    answer = newcomer.log_in()
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/")
    assert newcomer.get("/admin/").status_code == 200


@pytest.mark.parametrize("password", ["", "wrong", PASSWORD + "\0", "\ud800", "x" * 20_000, "' OR 1=1 --"])
def test_nothing_else_does(newcomer: Owner, password: str) -> None:
    answer = newcomer.log_in(password.encode("utf-8", "surrogatepass"))  # type: ignore[arg-type]  # as bytes
    assert answer.status_code == 422
    assert reason(answer) == "This is not the password."
    assert password not in answer.text or not password
    assert newcomer.get("/admin/").status_code == 303


def test_who_tries_too_often_is_told_how_long_to_wait(newcomer: Owner, later: Later, app: Flask) -> None:
    for _ in range(5):
        assert newcomer.log_in("wrong").status_code == 422
    answer = newcomer.log_in()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert reason(answer) == "There were too many wrong passwords. Please wait 1 second."
    elsewhere = Owner(app)
    assert elsewhere.log_in(environ_base={"REMOTE_ADDR": "198.51.100.7"}).status_code == 303
    later(1)
    assert newcomer.log_in().status_code == 303


def test_what_a_stranger_says_about_his_address_does_not_count(newcomer: Owner) -> None:
    said = ({"X-Forwarded-For": f"198.51.100.{number}"} for number in range(6))
    answers = [newcomer.log_in("wrong", headers=headers).status_code for headers in said]
    assert answers == [422] * 5 + [429]


def test_what_a_trusted_proxy_says_does(environ: dict[str, str]) -> None:
    with running({**environ, "GUESTBOOK_TRUSTED_PROXIES": "1"}) as app:
        owner = Owner(app)
        for number in range(6):  # whatever comes before the proxy's own word is the stranger's
            headers = {"X-Forwarded-For": f"10.0.0.{number}, 198.51.100.1"}
            assert owner.log_in("wrong", headers=headers).status_code == (422 if number < 5 else 429)
        assert owner.log_in(headers={"X-Forwarded-For": "198.51.100.2"}).status_code == 303


# --- where to


INSIDE = [
    "/admin", "/admin/", "/admin/webhooks/", "/admin/webhooks/" + "a" * 32, "/admin/comments/bulk-all",
    "/admin/deliveries/?status=failed&webhook=x&text=%0d%0aa'b/../c", "/admin?x=//evil.example",
]  # fmt: skip
OUTSIDE = [
    "", "/", "//evil.example", "\\\\evil.example", "/\\evil.example", "https://evil.example/admin/",
    "//evil.example/admin/", "/admin/../..", "/admin/../", "/admin/./x", "/admin//evil.example",
    "/admin/\\evil.example", "/admin/%2e%2e/", "/admin/..%2f", "/admin\t/x", "/admin/\n", "/admin/\r\nX: y",
    "/admin/\0", "/administrator", "/admin@evil.example", "/admin:80/", "/admin.evil.example", "admin/",
    "javascript:alert(1)", "/%61dmin/", "\n/admin/", " /admin/", "/admin/é", "/admin/?é", "/admin/?a b",
    "/admin/?" + "x" * 2000, "/admin/\u2028", "/\tadmin/",
]  # fmt: skip


def test_a_login_leads_to_the_page_that_was_asked_for_and_never_elsewhere(owner: Owner) -> None:
    for path in INSIDE + OUTSIDE:
        expected = path if path in INSIDE else "/admin/"
        answer = owner.post("/admin/login", {"password": PASSWORD, "next": path})
        assert answer.headers["Location"] == expected, path
        second = owner.get("/admin/login", query_string={"next": path})
        assert (second.status_code, second.headers["Location"]) == (303, expected), path


def test_the_page_comes_through_the_form_with_all_that_was_asked_of_it(newcomer: Owner) -> None:
    url = newcomer.get("/admin/deliveries/?status=failed&text=%22a+b%22").headers["Location"]
    form = fields(newcomer.page(url))
    answer = newcomer.open("POST", "/admin/login", data={**form, "password": "wrong"})
    form = fields(parse(answer)) | {"password": PASSWORD}
    answer = newcomer.open("POST", "/admin/login", data=form)
    assert answer.headers["Location"] == "/admin/deliveries/?status=failed&text=%22a+b%22"


def test_below_a_path_it_stays_below(newcomer: Owner) -> None:
    def below(method: str, url: str, **how: object) -> TestResponse:
        return newcomer.open(method, url, base_url="http://localhost/book/", **how)

    newcomer.app.config["SESSION_COOKIE_PATH"] = "/book/"
    assert below("GET", "/admin/").headers["Location"] == "/book/admin/login?next=/admin/"
    form = fields(parse(below("GET", "/admin/login?next=/admin/webhooks/")))
    answer = below("POST", "/admin/login", data={**form, "password": PASSWORD})
    assert answer.headers["Location"] == "/book/admin/webhooks/"


# --- the cookie


def test_the_cookie_is_for_the_book_alone_and_no_script_reads_it(newcomer: Owner) -> None:
    before = set_cookie(newcomer.get("/admin/login"))
    after = set_cookie(newcomer.log_in())
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Secure"} <= set(before) & set(after)
    assert not any(part.startswith("Expires=") for part in before)
    assert any(part.startswith("Expires=") for part in after), "it outlives the browser"


@pytest.mark.parametrize(
    ("base_url", "path", "secure"),
    [
        ("http://127.0.0.1:5000", "Path=/", False),
        ("https://book.example/guestbook", "Path=/guestbook/", True),
        ("HTTPS://book.example/guestbook/", "Path=/guestbook/", True),
    ],
)
def test_it_is_as_the_address_wants(environ: dict[str, str], base_url: str, path: str, secure: bool) -> None:
    with running({**environ, "GUESTBOOK_BASE_URL": base_url}) as app:
        parts = set_cookie(Owner(app).get("/admin/login"))
    assert path in parts
    assert ("Secure" in parts) is secure


def test_a_login_gets_a_new_cookie_and_a_new_key_and_ends_the_one_before(app: Flask, newcomer: Owner) -> None:
    keys, values = [newcomer.key("/admin/login")], [value_of(newcomer)]
    for on in ("/admin/login", None):
        assert newcomer.post("/admin/login", {"password": PASSWORD}, on).status_code == 303
        values.append(value_of(newcomer))
        keys.append(newcomer.key())
    with newcomer.client.session_transaction("/admin/") as session:
        raw = session["csrf_token"]
    assert len(set(values)) == 3
    assert raw not in keys
    assert [replay(app, value) for value in values] == [303, 303, 200]
    assert len(factories.rows(Login)) == 1
    for key in keys[:2]:
        answer = newcomer.open("POST", "/admin/logout", data={"csrf_token": key})
        assert answer.status_code == 400


def test_a_wrong_password_while_logged_in_ends_nothing(owner: Owner) -> None:
    assert owner.post("/admin/login", {"password": "wrong"}).status_code == 422
    assert owner.get("/admin/account/").status_code == 200


# --- what is wrong is said


def test_a_login_below_another_path_than_the_cookie_goes_to_says_so(newcomer: Owner) -> None:
    newcomer.app.config["SESSION_COOKIE_PATH"] = "/guests/"
    form = fields(newcomer.page("/admin/login")) | {"password": PASSWORD}
    answer = newcomer.open("POST", "/admin/login", data=form, base_url="https://localhost")
    assert (answer.status_code, "it goes to https://book.example/ only" in reason(answer)) == (400, True)


def test_without_our_cookie_the_login_says_so_and_does_not_loop(newcomer: Owner) -> None:
    form = fields(newcomer.page("/admin/login")) | {"password": PASSWORD}
    home = "it goes to https://book.example/ only"
    for scheme, said in (("http", home), ("https", "allow cookies")):
        newcomer.client.delete_cookie(COOKIE, path="/")
        answer = newcomer.open("POST", "/admin/login", data=form, base_url=f"{scheme}://localhost")
        assert answer.status_code == 400
        assert reason(answer).startswith("Your browser did not send our cookie back")
        assert said in reason(answer)


def test_a_form_that_is_too_old_comes_back_as_a_new_one(newcomer: Owner) -> None:
    form = fields(newcomer.page("/admin/login")) | {"password": PASSWORD, "next": "/admin/webhooks/"}
    answer = newcomer.open("POST", "/admin/login", data=form | {"csrf_token": "old"})
    assert answer.status_code == 400
    assert reason(answer) == "This page has expired. Please type the password again."
    assert PASSWORD not in answer.text
    second = newcomer.open("POST", "/admin/login", data=fields(parse(answer)) | {"password": PASSWORD})
    assert (second.status_code, second.headers["Location"]) == (303, "/admin/webhooks/")


def test_a_login_without_tables_says_what_is_missing(environ: dict[str, str]) -> None:
    with running(environ) as app:
        owner = Owner(app)
        form = fields(owner.page("/admin/login")) | {"password": PASSWORD}
        for table in ("sessions", "limits", "book_state"):
            factories.sql(f"DROP TABLE {table}")
        answer = owner.open("POST", "/admin/login", data=form)
        assert (answer.status_code, "or run this on the server: " in answer.text) == (503, True)
        assert owner.get("/admin/login").headers["Location"] == "/admin/setup/"
        assert owner.get("/admin/setup/").status_code == 503

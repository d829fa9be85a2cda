"""Every admin page, later ones too: this walks all rules that the app has.

A new one is in it by itself, unless its address has a variable of a new name: then `filled` needs a row.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import AnyConverter, Rule
from werkzeug.test import TestResponse

from guestbook.auth import api_tokens, login
from guestbook.comments import website_forms
from guestbook.inbound import request_bins
from guestbook.lib import clock
from guestbook.storage.models import Comment, Day, Limit, Reply, Token
from guestbook.web import request_checks, response_headers
from guestbook.web.admin import ADMIN_MENU
from guestbook.web.admin.login import SESSION_KEY
from tests.support import factories
from tests.support.api_client import new_token
from tests.support.owner import PASSWORD, Owner, code_of, turn_second_factor_on
from tests.support.receiver_person import add_link
from tests.support.visitor import Visitor, by_class, fields, hrefs, parse, text
from tests.web.admin.test_bins import send

# All that strangers may do. Whatever else a new rule opens belongs behind the login or behind a token.
PUBLIC_VIEWS = {
    "public": "index sign comment icon picture privacy security_txt",
    "health": "healthz",
    "bins": "catch",
    "inbound_webhook": "receive greet",
    "pinger": "run_pass",
    "feeds": "atom json of_comment",
    "embed": "index sign script",
    "looks": "choose_language choose own_css button",
    "webmention": "form receive status",
    "own_comment": "show edit delete",  # with the cookie after signing
    "embed.own_comment": "show edit delete",  # with the cookie of the frame
    "website_form": "lead_to_form sign_on_website",  # with a public key of the owner's
    "moderation": "show decide",  # with a signed token
    "reply_mail": "show",  # the same
    # With the cookie that a signed link gives.
    "receiver": "open_link index show payload verify redeliver ask_redelivery redeliver_failed"
    " test rotate rotate_key",
    "metrics": "show",  # with a token of its own
}
PUBLIC = {"static"} | {f"{part}.{name}" for part, names in PUBLIC_VIEWS.items() for name in names.split()}
LOGIN = {f"admin.login.{name}" for name in ("log_in", "check", "log_out", "ask_code", "check_code")}
# With a code, or to type it.
SETUP = (
    "ask_code enter_code show_setup finish make_tables restore_backup show_room make_room show_key put_key"
)
LOGIN |= {f"admin.setup.{name}" for name in SETUP.split()}
OPEN_API = {f"api.comments.{name}" for name in ("list_comments", "create_comment", "get_comment")}
OPEN_API |= {"api.events.list_event_types", "api.events.get_event_type", "api.document.get_document"}
READS = ("GET", "HEAD")
COOKIE = "guestbook_admin"


@pytest.fixture
def filled(app: Flask) -> dict[str, str]:  # noqa: ARG001  the factories fill it
    """A book with a row of each kind, and an id for each variable that addresses have."""
    comment_id, webhook_id, source_id = factories.sign(), factories.webhook(), factories.source()
    about = {"comment_id": comment_id, "attempts": 1, "claims": 1}
    delivery_id = factories.delivery(webhook_id, status="failed", **about)
    factories.attempt(delivery_id)
    factories.past_pass(timedelta())
    new_token()
    others = [
        Day(day="2026-01-31", processed=1, failed=1),
        Reply(comment_id=comment_id, message="Thanks"),
        Limit(who="somebody", hits=1, since=clock.now(), last_at=clock.now()),
    ]
    factories.written(lambda session: session.add_all(others))
    bin_id = factories.written(lambda session: request_bins.add(session, {}).id)
    return {
        "source_id": source_id, "bin_id": bin_id, "request_id": send(bin_id),
        "event_id": factories.inbound(source_id, status="failed", error="It is not UTF-8."),
        "comment_id": comment_id, "webhook_id": webhook_id, "delivery_id": delivery_id,
        "token_id": factories.rows(Token)[0].id, "link_id": add_link(webhook_id)[0],
        "key": factories.written(lambda session: website_forms.add(session, "https://ada.example/")),
    }  # fmt: skip


def doors(app: Flask) -> list[Rule]:
    """The rules of the admin that nobody passes without a login."""
    return [rule for rule in app.url_map.iter_rules() if under("/admin", rule) and rule.endpoint not in LOGIN]


def under(place: str, rule: Rule) -> bool:
    return f"{rule.rule}/".startswith(f"{place}/")


def addresses(app: Flask, rule: Rule, ids: dict[str, str]) -> list[str]:
    """The addresses of a rule: its ids filled in, and each word where it takes one of several."""
    fixed = rule.defaults or {}
    names = sorted(rule.arguments - fixed.keys())
    choices = [_choices(rule, name, ids) for name in names]
    adapter = app.url_map.bind("localhost")
    values = (dict(zip(names, one, strict=True)) for one in product(*choices))
    return [adapter.build(rule.endpoint, {**one, **fixed}) for one in values]


def _choices(rule: Rule, name: str, ids: dict[str, str]) -> list[str]:
    converter = rule._converters[name]
    if isinstance(converter, AnyConverter):
        return sorted(converter.items)
    assert name in ids, f"{rule} has a variable {name!r}: let the fixture `filled` make a row and give its id"
    return [ids[name]]


def walk(app: Flask, ids: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each method that a rule of the admin knows, with each of its addresses."""
    for rule in doors(app):
        yield from product(sorted(rule.methods or ()), addresses(app, rule, ids))


def guarded(answer: TestResponse) -> TestResponse:
    """Whatever it is, nobody keeps it, and nothing in it runs but our own script."""
    assert answer.headers["Cache-Control"] == "no-store", answer.request.path
    assert answer.headers["Content-Security-Policy"] == response_headers.ADMIN_CONTENT_POLICY
    assert answer.headers["X-Robots-Tag"] == "noindex"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    for name in set(response_headers.RESPONSE_HEADERS) - {"Content-Security-Policy", "Referrer-Policy"}:
        assert answer.headers[name] == response_headers.RESPONSE_HEADERS[name]
    return answer


# --- without a login


def forged(app: Flask) -> Visitor:
    return with_cookie(app, cookie_of(Owner(app).be_logged_in())[:-4] + "AAAA")


def made_up(app: Flask) -> Visitor:
    """As if somebody had the secret key, but no login."""
    owner = Owner(app).be_logged_in()
    with owner.client.session_transaction("/admin/") as session:
        session[SESSION_KEY] = session[SESSION_KEY][:-2] + "xx"
    return owner


def logged_out(app: Flask) -> Visitor:
    owner = Owner(app).be_logged_in()
    copy = cookie_of(owner)
    assert with_cookie(app, copy).get("/admin/").status_code == 200
    assert owner.post("/admin/logout").status_code == 303
    return with_cookie(app, copy)


def logged_out_from_elsewhere(app: Flask) -> Visitor:
    owner = Owner(app).be_logged_in()
    assert Owner(app).be_logged_in().post("/admin/account/logout-everywhere").status_code == 303
    return owner


def with_the_old_password(app: Flask) -> Visitor:
    owner = Owner(app).be_logged_in()
    factories.written(lambda session: login.set_password(session, "another password"))
    return owner


def with_the_password_but_no_code(app: Flask) -> Visitor:
    turn_second_factor_on(app)
    owner = Owner(app)
    assert owner.log_in().headers["Location"] == "/admin/login/code"
    assert owner.get("/admin/login/code").status_code == 200
    return owner


def logged_in_before_the_second_factor(app: Flask) -> Visitor:
    """Another browser turns it on, which ends the logins that had the password alone."""
    old, owner = Owner(app).be_logged_in(), Owner(app).be_logged_in()
    setup = owner.post("/admin/account/second-factor/", {"action": "set-up", "password": PASSWORD})
    form = fields(parse(setup))
    code = code_of(text(by_class(parse(setup), "key")[0]).replace(" ", ""))
    answer = owner.open("POST", "/admin/account/second-factor/confirm", data=form | {"code": code})
    assert "Your ten codes" in answer.text
    return old


def cookie_of(visitor: Visitor) -> str:
    cookie = visitor.client.get_cookie(COOKIE, path="/")
    return cookie.value


def with_cookie(app: Flask, value: str) -> Visitor:
    visitor = Visitor(app)
    visitor.client.set_cookie(COOKIE, value, path="/")
    return visitor


@pytest.mark.parametrize(
    "somebody",
    [
        Visitor, forged, made_up, logged_out, logged_out_from_elsewhere,
        with_the_old_password, with_the_password_but_no_code, logged_in_before_the_second_factor,
    ],
)  # fmt: skip
def test_without_a_login_nothing_is_open(app: Flask, filled: dict[str, str], somebody: Any) -> None:
    visitor: Visitor = somebody(app)
    before = factories.everything()
    for method, url in walk(app, filled):
        if method in ("HEAD", "OPTIONS") and somebody is not Visitor:
            continue  # who asks makes no difference between them and GET and POST
        answer = guarded(visitor.open(method, url))
        if method in READS:
            assert answer.status_code == 303, (method, url)
            assert answer.headers["Location"].startswith("/admin/login?next=/admin/"), (method, url)
        else:
            assert answer.status_code == 403, (method, url)
    assert factories.everything() == before


def test_the_key_of_the_login_opens_nothing_else(app: Flask, filled: dict[str, str]) -> None:
    visitor = Owner(app)
    key = fields(visitor.page("/admin/login"))["csrf_token"]
    before = factories.everything()
    for method, url in walk(app, filled):
        if method not in READS:
            assert visitor.open(method, url, data={"csrf_token": key}).status_code == 403, (method, url)
    assert factories.everything() == before


# --- with a login


def test_without_its_key_no_form_is_taken(app: Flask, filled: dict[str, str], owner: Owner) -> None:
    old = owner.key()
    assert owner.post("/admin/login", {"password": PASSWORD}).status_code == 303  # a new login, a new key
    foreign = [{}, {"csrf_token": ""}, {"csrf_token": "é"}, {"csrf_token": Owner(app).be_logged_in().key()}]
    before = factories.everything()
    acts = [(method, url) for method, url in walk(app, filled) if method not in (*READS, "OPTIONS")]
    assert len(acts) > 10
    for (method, url), data in product([*acts, ("POST", "/admin/logout")], [*foreign, {"csrf_token": old}]):
        answer = guarded(owner.open(method, url, data=data))
        assert answer.status_code == 400, (method, url, data)
    assert factories.everything() == before


def test_a_get_changes_nothing(app: Flask, filled: dict[str, str], owner: Owner) -> None:
    read = {url for method, url in walk(app, filled) if method in READS}
    act = {url for method, url in walk(app, filled) if method not in READS} - read
    assert owner.page("/admin/")  # what the first look makes is no change by the others
    before = factories.everything()
    for method, url in product(READS, sorted(read)):
        assert guarded(owner.open(method, url)).status_code in (200, 303, 422), (method, url)
    for method, url in product(READS, [*sorted(act), "/admin/logout"]):
        assert guarded(owner.open(method, url)).status_code in (404, 405), (method, url)
    assert factories.everything() == before


def test_pages_have_no_inline_script_and_one_menu(app: Flask, filled: dict[str, str], owner: Owner) -> None:
    shown = 0
    for url in sorted({url for method, url in walk(app, filled) if method == "GET"}):
        answer = owner.get(url)
        if answer.mimetype != "text/html" or answer.status_code != 200:
            continue
        page = parse(answer)
        for element in page.iter():
            assert element.tag not in ("style", "iframe", "object", "embed", "base"), url
            is_ours = element.attrib.get("src", "").startswith("/static/") and not element.text
            assert element.tag != "script" or is_ours, url
            assert not [name for name in element.attrib if name.startswith("on") or name == "style"], url
        links = page.findall(".//nav[@aria-label='Admin']//a")
        assert len([link for link in links if "aria-current" in link.attrib]) == bool(links), url
        shown += bool(links)
    assert shown > len(ADMIN_MENU)


def test_the_menu_leads_to_the_page_of_every_noun(app: Flask, filled: dict[str, str], owner: Owner) -> None:  # noqa: ARG001  it makes the rows
    rules = app.url_map.iter_rules()
    index_pages = [rule for rule in rules if re.fullmatch(r"admin\.\w+\.index", rule.endpoint)]
    links = owner.page("/admin/").findall(".//nav[@aria-label='Admin']//a")
    assert {link.attrib["href"] for link in links} == {rule.rule for rule in index_pages}
    for link in links:
        [current] = owner.page(link.attrib["href"]).findall(".//nav[@aria-label='Admin']//a[@aria-current]")
        assert current.text == link.text


def test_the_menu_of_a_new_book_has_only_what_leads_somewhere_and_the_overview_has_the_rest(
    owner: Owner,
) -> None:
    page = owner.page("/admin/")
    names = [link.text for link in page.findall(".//nav[@aria-label='Admin']//a")]
    assert names == ["Overview", "Comments", "Webhooks", "Settings", "Account"]
    for noun in ("sources", "bins"):
        assert f"/admin/{noun}/" in hrefs(page)
        there = owner.page(f"/admin/{noun}/")
        [current] = there.findall(".//nav[@aria-label='Admin']//a[@aria-current]")
        assert current.text == noun.capitalize()


@pytest.mark.parametrize("wrong", ["0" * 32, "f" * 31, "F" * 32, "x", "%00", "é", "0" * 5000])
def test_an_unknown_id_is_not_found(app: Flask, filled: dict[str, str], owner: Owner, wrong: str) -> None:
    before, key = factories.everything(), owner.key()
    for method, url in walk(app, dict.fromkeys(filled, "WRONG")):
        if "WRONG" in url and method != "OPTIONS":  # which says what there is, and asks nobody
            answer = guarded(owner.open(method, url.replace("WRONG", wrong), data={"csrf_token": key}))
            # Nothing else was filled in, which a form may say first.
            allowed = (404,) if method in READS else (404, 405, 422)
            assert answer.status_code in allowed, (method, url, answer.status)
    assert factories.everything() == before


def test_errors_are_kept_by_nobody_either(app: Flask, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    monkeypatch.setitem(app.view_functions, "admin.dashboard.index", lambda: str(1 / 0))
    too_long = {"csrf_token": owner.key(), "old": "x" * request_checks.DEFAULT_LIMIT_BYTES}
    for visitor in (owner, Visitor(app)):
        assert guarded(visitor.get("/admin/nowhere")).status_code == 404
        assert guarded(visitor.open("POST", "/admin/login", data=too_long)).status_code == 413
        assert guarded(visitor.open("BREW", "/admin/")).status_code == 405
    assert guarded(owner.open("POST", "/admin/account/password", data=too_long)).status_code == 413
    assert guarded(owner.get("/admin/")).status_code == 500
    assert guarded(Visitor(app).get("/admin")).status_code == 308


# --- and elsewhere


def test_there_is_no_way_in_beside_the_admin_pages_the_api_and_what_everybody_may_do(app: Flask) -> None:
    rules = list(app.url_map.iter_rules())
    others = {rule.endpoint for rule in rules if not under("/admin", rule) and not under("/api/v1", rule)}
    assert others == PUBLIC, "Add it to PUBLIC_VIEWS if it is for everybody."
    assert {rule.endpoint for rule in rules} >= LOGIN | OPEN_API


def test_without_a_token_the_api_is_for_reading_and_signing_alone(app: Flask, filled: dict[str, str]) -> None:
    revoked, _ = new_token("Revoked"), new_token("Another")
    old, another = factories.rows(Token)[-2:]
    factories.written(lambda session: api_tokens.revoke(session, session.get_one(Token, old.id)))
    visitor, before = Visitor(app), factories.everything()
    wrong = ("", "Bearer", "Bearer é", "Basic eDp5", f"Bearer {revoked}", f"Bearer {another.hash}")
    for rule in app.url_map.iter_rules():
        if not under("/api/v1", rule) or rule.endpoint in OPEN_API:
            continue
        for method, url in product(rule.methods - {"OPTIONS"}, addresses(app, rule, filled)):
            for headers in ({}, *({"Authorization": value} for value in wrong)):
                answer = visitor.open(method, url, headers=headers)
                assert answer.status_code == 401, (method, url, headers, answer.status)
    assert factories.everything() == before


def test_a_login_opens_nothing_of_the_api(filled: dict[str, str], owner: Owner) -> None:
    owner.client.set_cookie(COOKIE, cookie_of(owner), path="/")
    assert owner.open("DELETE", f"/api/v1/comments/{filled['comment_id']}").status_code == 401
    assert factories.the(Comment, filled["comment_id"]).status == "published"

"""The page of a webhook's receiver: who gets in, and that a look changes nothing."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from guestbook.comments.events_and_reminders import SignedLink
from guestbook.lib import clock, ids, signed_links
from guestbook.lib.signed_links import RECEIVER
from guestbook.outbound import receiver_links
from guestbook.storage import row_changes
from guestbook.storage.database import db
from guestbook.storage.models import AuditEntry, ReceiverLink, Webhook
from guestbook.web import delivery_log_for_receivers, response_headers, row_lookup
from tests.support import factories
from tests.support.receiver_person import ReceiverPerson, add_link, update_webhook
from tests.support.visitor import Visitor, parse, text
from tests.web.conftest import Later


def heading(answer: Any) -> str:
    return text(parse(answer).find(".//h1"))


def test_a_link_is_exchanged_for_a_cookie_of_its_own_pages(app: Flask) -> None:
    person = ReceiverPerson(app)
    answer = person.get(person.path)
    assert (answer.status_code, answer.headers["Location"]) == (303, person.home)
    [cookie] = answer.headers.getlist("Set-Cookie")
    assert f"; Path=/receiver/{person.link_id}" in cookie
    assert "; Secure; HttpOnly; " in cookie
    assert "; SameSite=Lax" in cookie
    assert cookie.startswith("guestbook_receiver=")
    assert "Max-Age=43200" in cookie
    token = person.path.rpartition("/")[2]
    assert token not in person.get(person.home).text
    assert token[-32:] not in cookie


def test_no_answer_is_kept_or_passes_its_address_on(app: Flask, ada: ReceiverPerson) -> None:
    for visitor, path in ((ada, ada.path), (ada, ada.home), (Visitor(app), ada.home), (ada, "/receiver/x")):
        answer = visitor.get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
        assert answer.headers["Content-Security-Policy"] == response_headers.ADMIN_CONTENT_POLICY


def test_the_cookie_of_one_link_opens_no_other(ada: ReceiverPerson) -> None:
    other, _ = add_link(factories.webhook(name="Other"))
    cookie = ada.client.get_cookie("guestbook_receiver", path=f"/receiver/{ada.link_id}")
    ada.client.set_cookie("guestbook_receiver", cookie.value, path=f"/receiver/{other}")
    for link_id in (other, ids.new(), "x"):
        answer = ada.get(f"/receiver/{link_id}/")
        assert (answer.status_code, heading(answer)) == (403, "Open your link again")


@pytest.mark.parametrize("value", ["", "é", "x.y", "0" * 3000])
def test_a_made_up_cookie_opens_nothing(app: Flask, value: str) -> None:
    person = ReceiverPerson(app)
    person.client.set_cookie("guestbook_receiver", value, path=f"/receiver/{person.link_id}")
    assert person.get(person.home).status_code == 403


def test_the_cookie_ends_after_hours_and_the_link_gives_another(ada: ReceiverPerson, later: Later) -> None:
    later(delivery_log_for_receivers.COOKIE_LASTS.total_seconds() + 1)
    assert ada.get(ada.home).status_code == 403
    assert ada.come_in().log() is not None


def test_a_wrong_link_opens_nothing_and_says_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_lookup, "MOST_WRONG_LINKS", 1000)
    person = ReceiverPerson(app)
    right = person.path.rpartition("/")[2]
    foreign = signed_links.token_of(
        person.link_id, [clock.now() + timedelta(days=1)], RECEIVER, "another key"
    )
    moderating = SignedLink(person.link_id, clock.now(), clock.now()).token(factories.settings().secret_key)
    later = f"{right[:32]}{'f' * 12}{right[44:]}"
    for token in (right[:-1], right + "0", right.upper(), "0" * 76, later, foreign, moderating, "é", "%00"):
        answer = Visitor(app).get(f"/receiver/{token}")
        assert (answer.status_code, heading(answer)) == (404, "This link does not work"), token
        assert "Set-Cookie" not in answer.headers


def test_whoever_tries_many_links_has_to_wait(app: Flask) -> None:
    codes = [Visitor(app).get("/receiver/0").status_code for _ in range(row_lookup.MOST_WRONG_LINKS + 1)]
    assert codes == [404] * row_lookup.MOST_WRONG_LINKS + [429]


ENDS: dict[str, Callable[..., object]] = {
    "This link has expired": lambda _, link: setattr(link, "expires_at", clock.now()),
    "This link was revoked": receiver_links.revoke,
}


@pytest.mark.parametrize("words", [*ENDS, "This webhook was deleted"])
def test_a_link_that_is_over_closes_its_pages(app: Flask, ada: ReceiverPerson, words: str) -> None:
    if words in ENDS:
        factories.written(lambda session: ENDS[words](session, session.get_one(ReceiverLink, ada.link_id)))
    else:
        with app.app_context():
            row_changes.delete_with_rows(db.engine, Webhook, ada.webhook_id)
    for answer in (ada.get(ada.path), ada.get(ada.home)):
        assert (answer.status_code, heading(answer), "Set-Cookie" in answer.headers) == (410, words, False)


def test_a_link_that_retention_has_deleted_says_that_it_expired(ada: ReceiverPerson, later: Later) -> None:
    factories.written(lambda session: session.delete(session.get_one(ReceiverLink, ada.link_id)))
    later(timedelta(days=8).total_seconds())
    answer = ada.get(ada.path)
    assert (answer.status_code, heading(answer)) == (410, "This link has expired")


@pytest.mark.parametrize(
    ("changes", "is_over"),
    [
        ({"url": "https://other.example/hook"}, True),
        ({"url": "webmention:", "format": "webmention"}, True),
        ({"format": "mattermost"}, True),
        ({"format": "json", "url": "https://receiver.example/new", "name": "New"}, False),
    ],
)
def test_a_link_ends_with_its_receiver(ada: ReceiverPerson, changes: dict[str, Any], is_over: bool) -> None:
    expired, _ = add_link(ada.webhook_id)
    factories.alter(ReceiverLink, expired, expires_at=clock.now())
    update_webhook(ada.webhook_id, changes)
    audited = factories.rows(AuditEntry)
    revoked = [(one.object, one.object_id) for one in audited if one.action == "revoked"]
    assert revoked == ([("receiver_link", ada.link_id)] if is_over else [])
    assert ada.get(ada.home).status_code == (410 if is_over else 200)


def test_the_last_use_of_a_link_is_noted_once_an_hour(app: Flask, later: Later) -> None:
    person = ReceiverPerson(app).come_in()
    assert last_used() is None  # a program that looks at links in messages does the same
    person.log()
    first = last_used()
    assert first
    assert clock.now() - first < timedelta(minutes=1)
    later(3000)
    person.log()
    assert last_used() == first
    later(3601)
    person.act("test", event="ping")
    second = last_used()
    assert second
    assert second >= first + timedelta(hours=1)
    assert Visitor(app).get(person.home).status_code == 403
    assert last_used() == second


def last_used() -> datetime | None:
    [link] = factories.rows(ReceiverLink)
    return link.last_used_at


def test_opening_everything_changes_nothing(ada: ReceiverPerson) -> None:
    ada.log()  # from now on the use of the link is noted for an hour
    delivery_id, before = factories.delivery(ada.webhook_id), factories.everything()
    paths = [
        ada.path,
        ada.home,
        *(f"{ada.home}deliveries/{delivery_id}/{end}" for end in ("", "payload", "verify")),
        f"{ada.home}redeliver?since=24h",
    ]
    for path in paths:
        for method in ("GET", "HEAD"):
            assert ada.open(method, path).status_code in (200, 303), path
        for method in ("PUT", "PATCH", "DELETE"):
            assert ada.open(method, path).status_code == 405, path
    assert factories.everything() == before


def test_links_stay_unlogged(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    person = ReceiverPerson(app)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    monkeypatch.setitem(app.view_functions, "receiver.open_link", lambda **_: str(1 / 0))
    with caplog.at_level(logging.DEBUG):
        assert person.get(person.path).status_code == 500
    assert "ZeroDivisionError" in caplog.text
    assert "GET /receiver/(hidden) failed" in caplog.text
    assert person.path not in caplog.text

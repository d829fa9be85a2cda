"""The page of a webhook's receiver: who gets in, what it shows, and what it never shows."""

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from guestbook.comments.moderation_link import SignedLink
from guestbook.comments.moderation_policy import Classification
from guestbook.lib import clock, ids, receiver_token, signing
from guestbook.outbound import receiver_links, webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.storage.database import db, writing
from guestbook.storage.models import AuditEntry, Comment, ReceiverLink, Webhook
from guestbook.web import wrong_links
from guestbook.web.admin import access
from guestbook.web.receiver_pages import receiver_cookie
from tests.support import factories
from tests.support.receiver_person import ReceiverPerson, add_link
from tests.support.visitor import Visitor, parse, scripts, text
from tests.web.conftest import Later


@pytest.fixture
def ada(app: Flask) -> ReceiverPerson:
    return ReceiverPerson(app).come_in()


def change(app: Flask, model: Any, **values: Any) -> None:
    with app.app_context(), writing() as session:
        session.execute(update(model).values(**values))


def update_webhook(webhook_id: str, changes: dict[str, Any]) -> None:
    with writing() as session:
        webhooks.update(session, session.get_one(Webhook, webhook_id), changes, factories.settings())


def heading(answer: Any) -> str:
    return text(parse(answer).find(".//h1"))


# --- who gets in


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
        assert answer.headers["Content-Security-Policy"] == access.ADMIN_CONTENT_POLICY


def test_the_cookie_of_one_link_opens_no_other(app: Flask, ada: ReceiverPerson) -> None:
    with app.app_context():
        other, _ = add_link(factories.webhook(name="Other"))
    cookie = ada.client.get_cookie("guestbook_receiver", path=f"/receiver/{ada.link_id}")
    assert cookie
    ada.client.set_cookie("guestbook_receiver", cookie.value, path=f"/receiver/{other}")
    for link_id in (other, ids.new(), "x"):
        answer = ada.get(f"/receiver/{link_id}/")
        assert (answer.status_code, heading(answer)) == (403, "Open your link again")


@pytest.mark.parametrize("value", ["", "é", "x.y", "0" * 3000])
def test_a_made_up_cookie_opens_nothing(app: Flask, value: str) -> None:
    person = ReceiverPerson(app)
    person.client.set_cookie("guestbook_receiver", value, path=f"/receiver/{person.link_id}")
    assert person.get(person.home).status_code == 403


def test_the_cookie_ends_after_some_hours_and_the_link_gives_another(
    ada: ReceiverPerson, later: Later
) -> None:
    later(receiver_cookie.COOKIE_LASTS.total_seconds() + 1)
    assert ada.get(ada.home).status_code == 403
    assert ada.come_in().log() is not None


def test_a_wrong_link_opens_nothing_and_says_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_links, "MOST_WRONG_LINKS", 1000)
    person = ReceiverPerson(app)
    right = person.path.rpartition("/")[2]
    with app.app_context():
        foreign = receiver_token.of(person.link_id, clock.now() + timedelta(days=1), "another key")
        moderating = SignedLink(person.link_id, clock.now(), clock.now()).token(
            factories.settings().secret_key
        )
    later = f"{right[:32]}{'f' * 12}{right[44:]}"
    for token in (right[:-1], right + "0", right.upper(), "0" * 76, later, foreign, moderating, "é", "%00"):
        answer = Visitor(app).get(f"/receiver/{token}")
        assert (answer.status_code, heading(answer)) == (404, "This link does not work"), token
        assert "Set-Cookie" not in answer.headers


def test_whoever_tries_many_links_has_to_wait(app: Flask) -> None:
    codes = [Visitor(app).get("/receiver/0").status_code for _ in range(wrong_links.MOST_WRONG_LINKS + 1)]
    assert codes == [404] * wrong_links.MOST_WRONG_LINKS + [429]


@pytest.mark.parametrize("reason", ["expired", "revoked", "deleted", "long ago"])
def test_a_link_that_is_over_closes_its_open_pages_too(
    app: Flask, ada: ReceiverPerson, reason: str, later: Later
) -> None:
    if reason == "expired":
        change(app, ReceiverLink, expires_at=clock.now())
    if reason == "revoked":
        with app.app_context(), writing() as session:
            receiver_links.revoke(session, session.get_one(ReceiverLink, ada.link_id))
    if reason == "deleted":
        with app.app_context():
            webhooks.delete(db.engine, ada.webhook_id)
    if reason == "long ago":  # retention has deleted the row
        with app.app_context(), writing() as session:
            session.delete(session.get_one(ReceiverLink, ada.link_id))
        later(timedelta(days=8).total_seconds())
    words = {
        "expired": "This link has expired",
        "revoked": "This link was revoked",
        "deleted": "This webhook was deleted",
        "long ago": "This link has expired",
    }
    answer = ada.get(ada.path)
    assert (answer.status_code, heading(answer)) == (410, words[reason])
    assert "Set-Cookie" not in answer.headers
    if reason != "long ago":
        answer = ada.get(ada.home)
        assert (answer.status_code, heading(answer)) == (410, words[reason])


@pytest.mark.parametrize(
    ("changes", "is_over"),
    [
        ({"url": "https://other.example/hook"}, True),
        ({"url": "webmention:", "format_name": "webmention"}, True),
        ({"format_name": "mattermost"}, True),
        ({"format_name": "json", "url": "https://receiver.example/new", "name": "New"}, False),
    ],
)
def test_a_link_ends_where_the_webhook_goes_to_others(
    app: Flask, ada: ReceiverPerson, changes: dict[str, Any], is_over: bool
) -> None:
    with app.app_context():
        expired, _ = add_link(ada.webhook_id)
        with writing() as session:
            session.get_one(ReceiverLink, expired).expires_at = clock.now()
        update_webhook(ada.webhook_id, changes)
        query = select(AuditEntry.object, AuditEntry.object_id).where(AuditEntry.action == "revoked")
        revoked = [tuple(row) for row in db.session.execute(query)]
    assert revoked == ([("receiver_link", ada.link_id)] if is_over else [])
    assert ada.get(ada.home).status_code == (410 if is_over else 200)


@pytest.mark.parametrize(("end", "is_over"), [("C", True), ("B", False)])
def test_a_link_ends_where_a_chat_service_shows_the_messages_to_others(
    app: Flask, end: str, is_over: bool
) -> None:
    url = "https://hooks.slack.com/services/T/A/"
    with app.app_context():
        webhook_id = factories.webhook(f"{url}B", format="slack")
    person = ReceiverPerson(app, webhook_id).come_in()
    with app.app_context():
        update_webhook(webhook_id, {"url": url + end, "name": "New"})
    assert person.get(person.home).status_code == (410 if is_over else 200)


def test_the_last_use_of_a_link_is_noted_once_an_hour(app: Flask, later: Later) -> None:
    person = ReceiverPerson(app).come_in()
    assert last_used(app) is None  # a program that looks at links in messages does the same
    person.log()
    first = last_used(app)
    assert first
    assert clock.now() - first < timedelta(minutes=1)
    later(3000)
    person.log()
    assert last_used(app) == first
    later(3601)
    person.act("test", event="ping")
    second = last_used(app)
    assert second
    assert second >= first + timedelta(hours=1)
    assert Visitor(app).get(person.home).status_code == 403
    assert last_used(app) == second


def last_used(app: Flask) -> datetime | None:
    with app.app_context():
        return db.session.scalars(select(ReceiverLink)).one().last_used_at


def test_opening_everything_changes_nothing(app: Flask, ada: ReceiverPerson) -> None:
    ada.log()  # from now on the use of the link is noted for an hour
    with app.app_context():
        delivery_id = factories.delivery(ada.webhook_id)
        tables = db.metadata.sorted_tables

        def everything() -> list[Any]:
            with db.engine.connect() as connection:
                return [tuple(row) for table in tables for row in connection.execute(select(table))]

        before = everything()
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
    with app.app_context():
        assert everything() == before


def test_the_log_of_the_program_has_no_link(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    person = ReceiverPerson(app)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    monkeypatch.setitem(app.view_functions, "receiver_pages.log.open_link", lambda **_: str(1 / 0))
    with caplog.at_level(logging.DEBUG):
        assert person.get(person.path).status_code == 500
    assert "ZeroDivisionError" in caplog.text
    assert "GET /receiver/(hidden) failed" in caplog.text
    assert person.path not in caplog.text


# --- what it shows


def test_the_log_has_this_webhook_alone_and_can_be_filtered(app: Flask, ada: ReceiverPerson) -> None:
    assert "No deliveries yet." in text(ada.log())
    with app.app_context():
        other = factories.webhook(name="Secret club")
        foreign = factories.delivery(other, event="comment.replied")
        for number in range(51):
            factories.delivery(ada.webhook_id, status="failed", last_error=f"Error {number}.")
        factories.delivery(ada.webhook_id, status="processed", event="ping")
    page = ada.log()
    rows = page.findall(".//tbody/tr")
    assert len(rows) == 50
    assert "delivered" in text(rows[0])
    assert "Secret club" not in text(page)
    older = page.find(".//a[@rel='next']")
    assert older is not None
    assert len(ada.page(older.attrib["href"]).findall(".//tbody/tr")) == 2
    failed = ada.page(f"{ada.home}?status=failed")
    assert "delivered" not in {text(one) for one in failed.findall(".//tbody//span")}
    assert len(ada.page(f"{ada.home}?status=processed").findall(".//tbody/tr")) == 1
    assert len(ada.page(f"{ada.home}?status=odd").findall(".//tbody/tr")) == 50
    assert ada.get(f"{ada.home}?before=x").status_code == 404
    for end in ("", "payload", "verify"):
        assert ada.get(f"{ada.home}deliveries/{foreign}/{end}").status_code == 404
    assert ada.act(f"deliveries/{foreign}/redeliver").status_code == 404


def test_a_delivery_shows_its_payload_its_attempts_and_how_to_verify_it(
    app: Flask, ada: ReceiverPerson
) -> None:
    with app.app_context():
        delivery_id = factories.delivery(ada.webhook_id, payload='{"a": "<b>"}', attempts=1, claims=1)
        factories.attempt(delivery_id, request_headers={"webhook-id": "x", "Authorization": "(hidden)"})
        secret = factories.the(Webhook, ada.webhook_id).secret
        row = factories.one()
    place = f"{ada.home}deliveries/{delivery_id}/"
    shown = text(ada.page(place))
    for words in ('"a": "<b>"', "Attempt 1", "The receiver answered 500.", "oops", "Authorization"):
        assert words in shown
    assert ada.get(f"{place}payload").data == b'{"a": "<b>"}'
    verifying = text(ada.page(f"{place}verify"))
    at = int(clock.now().timestamp())
    signed = [
        signing.standard((signing.key_of(secret),), row.event_id, moment, row.body)
        for moment in range(at - 9, at + 2)
    ]
    assert any(one in verifying for one in signed)
    assert "verify.py" in verifying
    assert secret not in verifying


def test_nothing_on_the_pages_is_for_the_owner_alone(app: Flask) -> None:
    with app.app_context():
        webhook_id = factories.webhook(
            "https://user:pass@receiver.example:8443/hook?key=letmein",
            name="Shop",
            headers={"Authorization": "Bearer letmein"},
        )
        delivery_id = factories.delivery(webhook_id, comment_id=factories.sign())
        secret = factories.the(Webhook, webhook_id).secret
    person = ReceiverPerson(app, webhook_id).come_in()
    for path in ("", f"deliveries/{delivery_id}/", f"deliveries/{delivery_id}/verify"):
        answer = person.get(person.home + path)
        assert answer.status_code == 200
        for word in ("letmein", "pass@", secret, "/admin/", "csrf_token"):
            assert word not in answer.text, path
        assert scripts(parse(answer)) == ["/static/admin.js"]
        assert "guestbook_admin" not in str(answer.headers)
    assert "https://receiver.example:8443/hook?(hidden)" in text(person.log())


@pytest.mark.parametrize(
    ("url", "format_name"),
    [
        ("https://hooks.slack.com/services/T/B/letmein", "slack"),
        ("https://hooks.slack.com/services/T/B/letmein", "json"),
        ("https://discord.com/api/webhooks/1/letmein/github", "json"),
        ("https://api.netlify.com/build_hooks/letmein", "json"),
        ("https://builds.example/letmein", "template"),
    ],
)
def test_a_path_that_may_be_a_password_is_hidden(app: Flask, url: str, format_name: str) -> None:
    with app.app_context():
        webhook_id = factories.webhook(url, format=format_name)
    shown = text(ReceiverPerson(app, webhook_id).come_in().log())
    assert f"{url[: url.index('/', 8)]}/(hidden)" in shown
    assert "letmein" not in shown


@pytest.mark.parametrize("kind", ["links now", "link in it", "note in it"])
def test_what_is_for_the_owner_is_in_no_payload_that_is_shown(
    app: Flask, ada: ReceiverPerson, kind: str
) -> None:
    with app.app_context():
        note, now = 'Call "me"', clock.now()
        token = SignedLink(ids.new(), now, now).token(factories.settings().secret_key)
        bodies = {"links now": "{}", "link in it": f"/moderate/{token}", "note in it": '"Call \\"me\\""'}
        comment_id = factories.sign()
        with writing() as session:
            session.get_one(Comment, comment_id).note = note
        row = {"payload": bodies[kind], "comment_id": comment_id, "attempts": 1, "claims": 1}
        delivery_id = factories.delivery(ada.webhook_id, **row)
        factories.attempt(delivery_id, response_body=bodies[kind])
    if kind == "links now":
        change(app, Webhook, moderation_links_since=clock.now())
    place = f"{ada.home}deliveries/{delivery_id}/"
    for path in (place, f"{place}verify"):
        answer = ada.get(path)
        assert "Not shown here" in answer.text
        assert "Response body" not in answer.text
        assert token not in answer.text
    assert ada.get(f"{place}payload").status_code == 404


@pytest.mark.parametrize(
    "data",
    [
        '{"comment": {"note": "gone since"}}',
        '{"comment": {}, "moderation": {}}',
        '{"waiting": {"comments": [{"moderation": {}}]}}',
    ],
)
def test_what_a_payload_says_counts_whatever_the_book_has_now(
    app: Flask, ada: ReceiverPerson, data: str
) -> None:
    for payload, status in (
        (f'{{"data": {data}}}', 404),
        ('{"data": {"comment": {}, "waiting": {"comments": [1]}}}', 200),
    ):
        with app.app_context():
            delivery_id = factories.delivery(ada.webhook_id, payload=payload)
        assert ada.get(f"{ada.home}deliveries/{delivery_id}/payload").status_code == status


@pytest.mark.parametrize(
    ("kind", "status"),
    [("plain", 200), ("example", 200), ("note", 404), ("held", 404), ("deleted", 404), ("waiting", 404)],
)
@pytest.mark.parametrize("format_name", ["template", "json"])  # json now, and a template before
def test_of_a_template_only_what_is_surely_for_all_is_shown(
    app: Flask, kind: str, status: int, format_name: str
) -> None:
    with app.app_context():
        webhook_id = factories.webhook(format=format_name)
        comment_id = factories.sign(verdict=Classification("held" if kind == "held" else "published"))
        row = {"payload": '{"any": "wording"}', "comment_id": comment_id, "sequence": 1}
        if kind == "waiting":
            row |= {"event": "comments.waiting", "comment_id": None, "sequence": None}
        if kind == "example":
            row |= {"comment_id": None, "sequence": None}
        delivery_id = factories.delivery(webhook_id, **row)
        with writing() as session:
            comment = session.get_one(Comment, comment_id)
            if kind == "note":
                comment.note = "Call me"
            if kind == "deleted":
                session.delete(comment)
    person = ReceiverPerson(app, webhook_id).come_in()
    assert person.get(f"{person.home}deliveries/{delivery_id}/payload").status_code == status


def test_a_payload_with_a_part_of_the_url_is_not_shown(app: Flask) -> None:
    with app.app_context():
        webhook_id = factories.webhook("https://ntfy.sh/?topic=letmein", format="ntfy")
        delivery_id = factories.delivery(webhook_id, payload='{"topic": "letmein"}', event="ping")
    person = ReceiverPerson(app, webhook_id).come_in()
    for end in ("", "payload", "verify"):
        assert "letmein" not in person.get(f"{person.home}deliveries/{delivery_id}/{end}").text


def test_a_note_is_not_shown_in_the_spelling_of_a_chat_either(app: Flask) -> None:
    with app.app_context():
        webhook_id = factories.webhook("https://hooks.slack.com/services/T/B/x", format="slack")
        comment_id = factories.sign()
        with writing() as session:
            session.get_one(Comment, comment_id).note = "Ada & Bo"
        row = {"payload": '{"text": "Note to you: Ada &amp; Bo"}', "comment_id": comment_id}
        delivery_id = factories.delivery(webhook_id, **row)
    person = ReceiverPerson(app, webhook_id).come_in()
    place = f"{person.home}deliveries/{delivery_id}/"
    assert "Not shown here" in person.get(place).text
    assert person.get(f"{place}payload").status_code == 404


@pytest.mark.parametrize(
    "changes", [{"format_name": "json"}, {"format_name": "ntfy", "url": "https://ntfy.sh/elsewhere"}]
)
def test_what_was_made_before_a_change_of_the_url_or_format_is_not_shown(
    app: Flask, changes: dict[str, Any]
) -> None:
    with app.app_context():
        webhook_id = factories.webhook("https://ntfy.sh/?topic=letmein", format="ntfy")
        body = {"payload": '{"topic": "letmein"}', "status": "failed"}
        old = factories.delivery(webhook_id, created_at=clock.now() - timedelta(minutes=1), **body)
        update_webhook(webhook_id, changes)
        new = factories.delivery(webhook_id, status="failed", created_at=clock.now() + timedelta(seconds=1))
    person = ReceiverPerson(app, webhook_id).come_in()
    page = person.log()
    assert [link.attrib["href"] for link in page.findall(".//tbody//th/a")] == [
        f"{person.home}deliveries/{new}/"
    ]
    assert "are not shown, because the URL or the format of this webhook changed then" in text(page)
    for end in ("", "payload", "verify"):
        assert person.get(f"{person.home}deliveries/{old}/{end}").status_code == 404
    assert person.get(f"{person.home}deliveries/{new}/").status_code == 200
    assert person.act(f"deliveries/{old}/redeliver").status_code == 404
    assert person.act("redeliver", since="2020-01-01").status_code == 303
    with app.app_context():
        assert {row.id: row.status for row in factories.deliveries()} == {old: "failed", new: "new"}


def test_other_changes_hide_nothing(app: Flask, ada: ReceiverPerson) -> None:
    with app.app_context():
        url = factories.the(Webhook, ada.webhook_id).url
        factories.delivery(ada.webhook_id, created_at=clock.now() - timedelta(minutes=1))
        update_webhook(ada.webhook_id, {"url": url, "format_name": "json", "name": "New", "rate": "5/s"})
    page = ada.log()
    assert len(page.findall(".//tbody/tr")) == 1
    assert "are not shown" not in text(page)


def test_of_an_erased_delivery_only_the_attempts_are_left(app: Flask, ada: ReceiverPerson) -> None:
    with app.app_context():
        delivery_id = factories.delivery(ada.webhook_id, status="failed", payload="", erased_at=clock.now())
    place = f"{ada.home}deliveries/{delivery_id}/"
    assert "erased" in text(ada.page(place))
    assert "verify.py" not in text(ada.page(f"{place}verify"))


def test_a_key_shows_its_public_half(app: Flask, ada: ReceiverPerson) -> None:
    with app.app_context(), writing() as session:
        webhook = session.get_one(Webhook, ada.webhook_id)
        webhook.use_for_signing("key")
        public = webhook.public_key
    page = ada.log()
    assert public
    assert public in text(page)
    assert "Rotate secret" not in text(page)


def test_the_pages_are_in_english(ada: ReceiverPerson) -> None:
    answer = ada.get(ada.home, headers={"Accept-Language": "de"})
    assert '<html lang="en"' in answer.text
    assert [option.text for option in parse(answer).findall(".//select[@id='event']/option")] == list(EVENTS)

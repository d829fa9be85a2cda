"""The page of a webhook's receiver: what it shows, and what it never shows."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from guestbook.comments.events_and_reminders import SignedLink
from guestbook.lib import clock, ids, signatures
from guestbook.storage.models import Comment, Webhook
from tests.support import factories
from tests.support.receiver_person import ReceiverPerson, update_webhook
from tests.support.visitor import attributes, parse, scripts, text


def test_the_log_has_this_webhook_alone_and_can_be_filtered(ada: ReceiverPerson) -> None:
    assert "No deliveries yet." in text(ada.log())
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
    older = attributes(page, ".//a[@rel='next']")
    assert len(ada.page(older["href"]).findall(".//tbody/tr")) == 2
    failed = ada.page(f"{ada.home}?status=failed")
    assert "delivered" not in {text(one) for one in failed.findall(".//tbody//span")}
    assert len(ada.page(f"{ada.home}?status=processed").findall(".//tbody/tr")) == 1
    assert len(ada.page(f"{ada.home}?status=odd").findall(".//tbody/tr")) == 50
    assert ada.get(f"{ada.home}?before=x").status_code == 404
    for end in ("", "payload", "verify"):
        assert ada.get(f"{ada.home}deliveries/{foreign}/{end}").status_code == 404
    assert ada.act(f"deliveries/{foreign}/redeliver").status_code == 404


def test_a_delivery_shows_its_payload_its_attempts_and_how_to_verify_it(ada: ReceiverPerson) -> None:
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
        signatures.standard((signatures.key_of(secret),), row.event_id, moment, row.body)
        for moment in range(at - 9, at + 2)
    ]
    assert any(one in verifying for one in signed)
    assert "verify.py" in verifying
    assert secret not in verifying


def test_nothing_on_the_pages_is_for_the_owner_alone(app: Flask) -> None:
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
    assert "https://receiver.example:8443/(hidden)" in text(person.log())


@pytest.mark.parametrize("kind", ["links now", "link in it", "note in it"])
def test_what_is_for_the_owner_is_in_no_shown_payload(ada: ReceiverPerson, kind: str) -> None:
    token = SignedLink(ids.new(), clock.now(), clock.now()).token(factories.settings().secret_key)
    bodies = {"links now": "{}", "link in it": f"/moderate/{token}", "note in it": '"Call \\"me\\""'}
    comment_id = factories.sign()
    factories.alter(Comment, comment_id, note='Call "me"')
    row = {"payload": bodies[kind], "comment_id": comment_id, "attempts": 1, "claims": 1}
    delivery_id = factories.delivery(ada.webhook_id, **row)
    factories.attempt(delivery_id, response_body=bodies[kind])
    if kind == "links now":
        factories.alter(Webhook, ada.webhook_id, moderation_links_since=clock.now())
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
def test_what_a_payload_says_counts_whatever_the_book_has_now(ada: ReceiverPerson, data: str) -> None:
    for payload, status in (
        (f'{{"data": {data}}}', 404),
        ('{"data": {"comment": {}, "waiting": {"comments": [1]}}}', 200),
        ('{"data": {"inbound": {"payload": {"note": "of another page"}}}}', 200),
    ):
        delivery_id = factories.delivery(ada.webhook_id, payload=payload)
        assert ada.get(f"{ada.home}deliveries/{delivery_id}/payload").status_code == status


@pytest.mark.parametrize(
    ("kind", "status"),
    [("plain", 200), ("example", 200), ("note", 404), ("held", 404), ("deleted", 404), ("waiting", 404)],
)
@pytest.mark.parametrize("format_name", ["template", "json"])  # json now, and a template before
def test_templates_show_only_what_is_for_all(app: Flask, kind: str, status: int, format_name: str) -> None:
    webhook_id = factories.webhook(format=format_name)
    comment_id = factories.sign(verdict=factories.HELD if kind == "held" else factories.PUBLISHED)
    row = {"payload": '{"any": "wording"}', "comment_id": comment_id, "sequence": 1}
    if kind in ("example", "waiting"):
        row |= {"comment_id": None, "sequence": None}
    if kind == "waiting":
        row |= {"event": "comments.waiting"}
    delivery_id = factories.delivery(webhook_id, **row)
    if kind == "note":
        factories.alter(Comment, comment_id, note="Call me")
    if kind == "deleted":
        factories.written(lambda session: session.delete(session.get_one(Comment, comment_id)))
    person = ReceiverPerson(app, webhook_id).come_in()
    assert person.get(f"{person.home}deliveries/{delivery_id}/payload").status_code == status


def test_a_payload_with_a_part_of_the_url_is_not_shown(app: Flask) -> None:
    webhook_id = factories.webhook("https://ntfy.sh/?topic=letmein", format="ntfy")
    delivery_id = factories.delivery(webhook_id, payload='{"topic": "letmein"}', event="ping")
    person = ReceiverPerson(app, webhook_id).come_in()
    for end in ("", "payload", "verify"):
        assert "letmein" not in person.get(f"{person.home}deliveries/{delivery_id}/{end}").text


def test_a_note_is_not_shown_in_the_spelling_of_a_chat_either(app: Flask) -> None:
    webhook_id = factories.webhook("https://hooks.slack.com/services/T/B/x", format="slack")
    comment_id, payload = factories.sign(), '{"text": "Note to you: Ada &amp; Bo"}'
    factories.alter(Comment, comment_id, note="Ada & Bo")
    delivery_id = factories.delivery(webhook_id, payload=payload, comment_id=comment_id)
    person = ReceiverPerson(app, webhook_id).come_in()
    place = f"{person.home}deliveries/{delivery_id}/"
    assert "Not shown here" in person.get(place).text
    assert person.get(f"{place}payload").status_code == 404


@pytest.mark.parametrize(
    "changes", [{"format": "json"}, {"format": "ntfy", "url": "https://ntfy.sh/elsewhere"}]
)
def test_what_came_before_another_url_or_format_is_not_shown(app: Flask, changes: dict[str, Any]) -> None:
    webhook_id = factories.webhook("https://ntfy.sh/?topic=letmein", format="ntfy")
    body = {"payload": '{"topic": "letmein"}', "status": "failed"}
    old = factories.delivery(webhook_id, created_at=clock.now() - timedelta(minutes=1), **body)
    update_webhook(webhook_id, changes)
    new = factories.delivery(webhook_id, status="failed", created_at=clock.now() + timedelta(seconds=1))
    person = ReceiverPerson(app, webhook_id).come_in()
    page = person.log()
    [link] = page.findall(".//tbody//th/a")
    assert link.attrib["href"] == f"{person.home}deliveries/{new}/"
    assert "are not shown, because the URL or the format of this webhook changed then" in text(page)
    for end in ("", "payload", "verify"):
        assert person.get(f"{person.home}deliveries/{old}/{end}").status_code == 404
    assert person.get(f"{person.home}deliveries/{new}/").status_code == 200
    assert person.act(f"deliveries/{old}/redeliver").status_code == 404
    assert person.act("redeliver", since="2020-01-01").status_code == 303
    assert {row.id: row.status for row in factories.deliveries()} == {old: "failed", new: "new"}


def test_of_an_erased_delivery_only_the_attempts_are_left(ada: ReceiverPerson) -> None:
    delivery_id = factories.delivery(ada.webhook_id, status="failed", payload="", erased_at=clock.now())
    place = f"{ada.home}deliveries/{delivery_id}/"
    assert "erased" in text(ada.page(place))
    assert "verify.py" not in text(ada.page(f"{place}verify"))

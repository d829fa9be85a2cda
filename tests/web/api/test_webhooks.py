"""The webhooks by the API: all that the admin pages can do, and no secret but where it is new."""

import json
from typing import Any

import pytest
from flask import Flask
from standardwebhooks import Webhook as Verifier

from guestbook.storage.models import Webhook
from tests.support import factories
from tests.support.api_client import NOBODY, ApiClient
from tests.support.receiver import Receiver

URL = "https://receiver.example/hook"


def stored(app: Flask, webhook_id: str) -> Webhook:
    with app.app_context():
        row: Webhook = factories.the(Webhook, webhook_id)
        return row


def test_a_receiver_is_added_tried_and_seen_to_work(
    app: Flask, program: ApiClient, receiver: Receiver
) -> None:
    webhook = program.post("/webhooks", {"url": receiver.url(), "headers": {"X-Key": "open sesame"}})
    ping = program.post(f"/webhooks/{webhook['id']}/test", status=202)
    assert (ping["event"], ping["status"], ping["attempts"]) == ("ping", "new", 0)
    with app.app_context():
        factories.run_pass()
    [request] = receiver.requests
    assert request.headers["x-key"] == "open sesame"
    Verifier(webhook["secret"]).verify(request.body, request.headers)
    seen = program.get(f"/deliveries/{ping['id']}")
    assert (seen["status"], seen["last_status_code"]) == ("processed", 200)
    assert seen["payload"].encode() == request.body
    [attempt] = seen["attempts_made"]
    assert (attempt["number"], attempt["status_code"]) == (1, 200)
    assert attempt["request_headers"]["X-Key"] == "(hidden)"
    assert "open sesame" not in json.dumps(seen)


def test_an_added_one_has_what_was_given_and_is_found_at_its_address(program: ApiClient) -> None:
    given = {
        "url": "HTTPS://Receiver.Example",
        "name": "  Chat ",
        "format": "json",
        "events": ["comment.deleted", "ping"],
        "headers": {"Authorization": "Bearer x"},
        "disabled": True,
    }
    answer = program.ask("POST", "/webhooks", given)
    webhook = answer.get_json()
    assert answer.status_code == 201
    assert webhook.pop("warnings") == []
    assert webhook["url"] == "https://receiver.example/"
    assert (webhook["name"], webhook["events"]) == ("Chat", ["comment.deleted", "ping"])
    assert webhook["headers"] == {"Authorization": "(hidden)"}
    assert (webhook["disabled_reason"], webhook["state"]) == ("by_hand", "disabled by hand")
    secret = webhook.pop("secret")
    assert secret.startswith("whsec_")
    path = answer.headers["Location"].removeprefix("https://book.example/api/v1")
    assert program.get(path) == webhook


def test_with_a_url_alone_the_rest_is_as_usual(program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL})
    assert (webhook["name"], webhook["events"]) == ("receiver.example", ["comment.created"])
    assert (webhook["format"], webhook["headers"], webhook["disabled_at"]) == ("json", {}, None)


def test_secrets_are_in_no_other_answer(app: Flask, program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL, "headers": {"X-Key": "open sesame"}})
    first, place = webhook["secret"], f"/webhooks/{webhook['id']}"
    second = program.post(f"{place}/rotate-secret", {"overlap_hours": 2}, 200)["secret"]
    ping = program.post(f"{place}/test", status=202)
    answers: list[Any] = [
        program.get("/webhooks"),
        program.get(place),
        program.patch(place, {"name": "Two"}),
        ping,
        program.get("/deliveries"),
        program.get(f"/deliveries/{ping['id']}"),
    ]
    said = json.dumps(answers)
    assert first != second == stored(app, webhook["id"]).secret
    assert not [secret for secret in (first, second, "open sesame") if secret in said]


def test_a_new_secret_signs_beside_the_old_one_for_as_long_as_asked(app: Flask, program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL})
    place = f"/webhooks/{webhook['id']}/rotate-secret"
    turned = program.post(place, status=200)
    row = stored(app, webhook["id"])
    assert (row.previous_secret, row.secret) == (webhook["secret"], turned["secret"])
    assert turned["previous_secret_expires_at"] > webhook["created_at"]
    assert program.post(place, {"overlap_hours": 0}, 200)["secret"] != turned["secret"]
    for wrong in (-1, 720.5, 1e300, "2", None, True):
        assert list(program.refused("POST", place, {"overlap_hours": wrong})) == ["overlap_hours"]


def test_a_change_leaves_alone_what_it_does_not_name(app: Flask, program: ApiClient) -> None:
    given = {"url": URL, "events": ["ping"], "headers": {"X-A": "1", "X-B": "2"}}
    place = f"/webhooks/{program.post('/webhooks', given)['id']}"
    assert program.patch(place, {"name": "Ops"})["headers"] == {"X-A": "(hidden)", "X-B": "(hidden)"}
    changed = program.patch(place, {"headers": {"X-C": "3"}, "events": ["comment.created", "ping"]})
    assert (changed["name"], changed["headers"]) == ("Ops", {"X-C": "(hidden)"})
    assert changed["events"] == ["comment.created", "ping"]
    assert stored(app, changed["id"]).headers == {"X-C": "3"}
    assert program.patch(place, {"headers": {}})["headers"] == {}


def test_of_headers_that_differ_in_case_alone_the_last_one_counts(app: Flask, program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL, "headers": {"x-key": "1", "X-Key": "2"}})
    assert stored(app, webhook["id"]).headers == {"X-Key": "2"}


def test_a_header_that_is_sent_back_hidden_keeps_its_value(app: Flask, program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL, "headers": {"X-Key": "open sesame", "X-B": "b"}})
    place = f"/webhooks/{webhook['id']}"
    assert list(program.refused("PATCH", place, {"headers": {"X-Else": "(hidden)"}})) == ["headers"]
    program.patch(place, {"headers": {"x-key": "(hidden)"}})
    assert stored(app, webhook["id"]).headers == {"x-key": "open sesame"}
    for headers in ({}, {"headers": {"X-Key": "(hidden)"}}):
        refused = program.refused("PATCH", place, {"url": "https://other.example/", **headers})
        assert list(refused) == ["headers"]
        assert "The new URL is on another host. Give the value of" in refused["headers"]
    assert stored(app, webhook["id"]).url == URL


def test_disabled_and_enabled_again(app: Flask, program: ApiClient) -> None:
    place = f"/webhooks/{program.post('/webhooks', {'url': URL})['id']}"
    disabled = program.patch(place, {"disabled": True})
    assert (disabled["disabled_reason"], program.patch(place, {"disabled": True})) == ("by_hand", disabled)
    with app.app_context():
        factories.sign()
        factories.run_pass()
        assert factories.one().attempts == 0
    assert program.patch(place, {"disabled": False})["disabled_at"] is None


def test_an_enabled_one_that_is_enabled_once_more_keeps_its_record(app: Flask, program: ApiClient) -> None:
    with app.app_context():
        row_id = factories.webhook(failures_in_a_row=4)
    assert program.patch(f"/webhooks/{row_id}", {"disabled": False})["failures_in_a_row"] == 4


@pytest.mark.parametrize(
    ("changes", "field", "word"),
    [
        ({"url": "http://user:pass@a.example/"}, "url", "user name"),
        ({"url": "https://a.example/#part"}, "url", "fragment"),
        ({"url": "ftp://a.example/"}, "url", "https://"),
        ({"url": "https://a.example:99999/"}, "url", "port"),
        ({"url": "https://a.example/\ud800"}, "url", "cannot be encoded"),
        ({"url": "http://10.0.0.1/"}, "url", "GUESTBOOK_ALLOW_NETWORKS"),
        ({"url": ""}, "url", "missing"),
        ({"url": "https://a.example/" + "x" * 2000}, "url", "2,018 characters"),
        ({"url": None}, "url", "text"),
        ({"headers": {"Host": "a"}}, "headers", "Host"),
        ({"headers": {"Webhook-Id": "a"}}, "headers", "Webhook-Id"),
        ({"headers": {"A: B": "a"}}, "headers", "A: B"),
        ({"headers": {"X-A": "a\r\nX-B: c"}}, "headers", "ASCII"),
        ({"headers": {"X-A": "é"}}, "headers", "ASCII"),
        ({"headers": {"X-A": 5}}, "headers", "text"),
        ({"headers": {f"X-{number}": "a" for number in range(11)}}, "headers", "10"),
        ({"headers": ["X-A: a"]}, "headers", "an object"),
        ({"events": []}, "events", "At least one"),
        ({"events": ["comment.*"]}, "events", "comment.created"),
        ({"events": ["ping", "ping"]}, "events", "once"),
        ({"events": "ping"}, "events", "a list"),
        ({"events": ["ping"] * 100}, "events", "At most 10"),
        ({"format": "xml"}, "format", "json"),
        ({"name": " "}, "name", "1 to 80"),
        ({"rate": "5/h"}, "rate", "such as 5/s or 30/m"),
        ({"rate": 5}, "rate", "text"),
        ({"name": ""}, "name", "empty"),
        ({"name": "x" * 81}, "name", "81 characters"),
        ({"disabled": "true"}, "disabled", "true or false"),
        ({"public_key": "mine"}, "public_key", "no such field"),
        ({"id": NOBODY}, "id", "no such field"),
    ],
)
def test_what_is_wrong_is_refused_by_name_and_changes_nothing(
    program: ApiClient, changes: dict[str, object], field: str, word: str
) -> None:
    webhook = program.post("/webhooks", {"url": URL})
    before = program.get(f"/webhooks/{webhook['id']}")
    for method, path in (("PATCH", f"/webhooks/{webhook['id']}"), ("POST", "/webhooks")):
        fields = program.refused(method, path, {"url": "https://other.example/", **changes})
        assert list(fields) == [field]
        assert word in fields[field]
    assert program.get("/webhooks")["webhooks"] == [before]


def test_all_that_is_wrong_in_a_webhook_is_said_at_once(program: ApiClient) -> None:
    wrong = {"url": "http://10.0.0.1/", "name": "x" * 81, "events": ["ping", "ping"], "colour": "blue"}
    assert set(program.refused("POST", "/webhooks", wrong)) == set(wrong)


def test_a_rate_limit_is_set_changed_and_removed(program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL, "rate": "30/m"})
    assert (webhook["rate"], webhook["next_slot_at"]) == ("30/m", None)
    path = f"/webhooks/{webhook['id']}"
    assert program.patch(path, {"rate": "5/s"})["rate"] == "5/s"
    assert program.patch(path, {"rate": None})["rate"] is None


def test_ipv6_receivers_have_brackets(program: ApiClient) -> None:
    for host in ("[2606:4700::a:1]", "[2a00:2:3:4:5:6:7:8]"):
        assert program.post("/webhooks", {"url": f"http://{host}:9000/"})["url"] == f"http://{host}:9000/"


def test_a_deleted_one_takes_its_deliveries_along(program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL})
    ping = program.post(f"/webhooks/{webhook['id']}/test", status=202)
    program.delete(f"/webhooks/{webhook['id']}")
    assert program.get("/webhooks") == {"webhooks": [], "next": None}
    program.get(f"/deliveries/{ping['id']}", 404)


@pytest.mark.parametrize("row_id", [NOBODY, "x", "%00", NOBODY + "%0A", NOBODY.upper() + "A"])
def test_an_id_of_nobody_is_not_found(program: ApiClient, row_id: str) -> None:
    for method, tail in (("GET", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/rotate-secret")):
        answer = program.ask(method, f"/webhooks/{row_id}{tail}")
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "not_found")
    assert program.ask("PATCH", f"/webhooks/{row_id}", {"name": "a"}).status_code == 404


def test_without_a_format_the_url_says_it_and_the_answer_shows_both(program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": "https://ntfy.sh/my-topic"})
    assert (webhook["format"], webhook["url"]) == ("ntfy", "https://ntfy.sh/?topic=my-topic")
    assert webhook["template"] is None
    named = program.post("/webhooks", {"url": "https://ntfy.sh/my-topic", "format": "json"})
    assert (named["format"], named["url"]) == ("json", "https://ntfy.sh/my-topic")


def test_a_template_is_kept_shown_and_changed(program: ApiClient) -> None:
    wording = '{"text": {{ comment.message|tojson }}}'
    webhook = program.post("/webhooks", {"url": URL, "format": "template", "template": wording})
    place = f"/webhooks/{webhook['id']}"
    assert program.get(place)["template"] == wording
    assert program.get("/webhooks")["webhooks"][0]["template"] == wording
    assert program.patch(place, {"template": "[1]"})["template"] == "[1]"
    assert program.refused("PATCH", place, {"template": None}).keys() == {"template"}
    assert program.patch(place, {"format": "json", "template": None})["template"] is None


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"format": "template"}, "template"),
        ({"template": "{{"}, "template"),
        ({"template": "x" * 8001}, "template"),
        ({"template": 7}, "template"),
        ({"format": "json", "template": "[1]"}, "template"),
        ({"format": "telegram"}, "url"),
        ({"url": "https://acme.webhook.office.com/webhookb2/1"}, "url"),
    ],
)
def test_a_format_that_cannot_work_is_refused_by_name(
    program: ApiClient, fields: dict[str, Any], wrong: str
) -> None:
    assert list(program.refused("POST", "/webhooks", {"url": URL} | fields)) == [wrong]
    assert program.get("/webhooks") == {"webhooks": [], "next": None}


def test_an_example_of_an_event_is_sent_in_place_of_a_ping(program: ApiClient, app: Flask) -> None:
    with app.app_context():
        hook = factories.webhook()
    sent = program.post(f"/webhooks/{hook}/test", {"event": "comment.published"}, 202)
    assert sent["event"] == "comment.published"
    assert '"id":"00000000000000000000000000000001"' in program.get(f"/deliveries/{sent['id']}")["payload"]
    assert program.post(f"/webhooks/{hook}/test", {}, 202)["event"] == "ping"
    assert "event" in program.refused("POST", f"/webhooks/{hook}/test", {"event": "x"})

"""The webhooks by the API: all that the admin pages can do, and no secret but where it is new."""

import json
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from guestbook.comments import backfill as backfilling
from guestbook.lib import clock, signatures
from guestbook.storage.models import Webhook
from guestbook.web.api import webhooks
from tests.support import factories
from tests.support.api_client import NOBODY, ApiClient
from tests.support.receiver import Receiver

URL = "https://receiver.example/hook"


def test_a_receiver_is_added_tried_and_seen_to_work(program: ApiClient, receiver: Receiver) -> None:
    webhook = program.post("/webhooks", {"url": receiver.url(), "headers": {"X-Key": "open sesame"}})
    ping = program.post(f"/webhooks/{webhook['id']}/test", status=202)
    assert (ping["event"], ping["status"], ping["attempts"]) == ("ping", "new", 0)
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


def test_secrets_are_in_no_other_answer(program: ApiClient) -> None:
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
    assert first != second == factories.the(Webhook, webhook["id"]).secret
    assert not [secret for secret in (first, second, "open sesame") if secret in said]


def test_a_new_secret_signs_beside_the_old_one_for_as_long_as_asked(program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL})
    place = f"/webhooks/{webhook['id']}/rotate-secret"
    turned = program.post(place, {"secret": TEXT}, 200)
    assert turned["secret"] == TEXT
    row = factories.the(Webhook, webhook["id"])
    assert (row.previous_secret, row.secret) == (webhook["secret"], turned["secret"])
    assert turned["previous_secret_expires_at"] > webhook["created_at"]
    assert program.post(place, {"overlap_hours": 0}, 200)["secret"] != turned["secret"]
    for wrong in (-1, 720.5, 1e300, "2", None, True):
        assert list(program.refused("POST", place, {"overlap_hours": wrong})) == ["overlap_hours"]
    for secret in ("short", 5, None, "whsec_of the wrong kind", "", " " * 20):
        assert list(program.refused("POST", place, {"secret": secret})) == ["secret"]
    assert list(program.refused("PATCH", f"/webhooks/{webhook['id']}", {"secret": TEXT})) == ["secret"]


def test_a_change_leaves_alone_what_it_does_not_name(program: ApiClient) -> None:
    given = {"url": URL, "events": ["ping"], "headers": {"X-A": "1", "X-B": "2"}}
    place = f"/webhooks/{program.post('/webhooks', given)['id']}"
    assert program.patch(place, {"name": "Ops"})["headers"] == {"X-A": "(hidden)", "X-B": "(hidden)"}
    changed = program.patch(place, {"headers": {"X-C": "3"}, "events": ["comment.created", "ping"]})
    assert (changed["name"], changed["headers"]) == ("Ops", {"X-C": "(hidden)"})
    assert changed["events"] == ["comment.created", "ping"]
    assert factories.the(Webhook, changed["id"]).headers == {"X-C": "3"}
    assert program.patch(place, {"headers": {}})["headers"] == {}


def test_of_headers_that_differ_in_case_alone_the_last_one_counts(program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL, "headers": {"x-key": "1", "X-Key": "2"}})
    assert factories.the(Webhook, webhook["id"]).headers == {"X-Key": "2"}


def test_a_header_that_is_sent_back_hidden_keeps_its_value(program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL, "headers": {"X-Key": "open sesame", "X-B": "b"}})
    place = f"/webhooks/{webhook['id']}"
    assert list(program.refused("PATCH", place, {"headers": {"X-Else": "(hidden)"}})) == ["headers"]
    program.patch(place, {"headers": {"x-key": "(hidden)"}})
    assert factories.the(Webhook, webhook["id"]).headers == {"x-key": "open sesame"}
    for headers in ({}, {"headers": {"X-Key": "(hidden)"}}):
        refused = program.refused("PATCH", place, {"url": "https://other.example/", **headers})
        assert list(refused) == ["headers"]
        assert "The new URL is on another host. Give the value of" in refused["headers"]
    assert factories.the(Webhook, webhook["id"]).url == URL


def test_disabled_and_enabled_again(program: ApiClient) -> None:
    place = f"/webhooks/{program.post('/webhooks', {'url': URL})['id']}"
    disabled = program.patch(place, {"disabled": True})
    assert (disabled["disabled_reason"], program.patch(place, {"disabled": True})) == ("by_hand", disabled)
    factories.sign()
    factories.run_pass()
    assert factories.one().attempts == 0
    assert program.patch(place, {"disabled": False})["disabled_at"] is None


def test_an_enabled_one_that_is_enabled_once_more_keeps_its_record(program: ApiClient) -> None:
    row_id = factories.webhook(failures_in_a_row=4)
    assert program.patch(f"/webhooks/{row_id}", {"disabled": False})["failures_in_a_row"] == 4


@pytest.mark.parametrize(
    ("changes", "field", "word"),
    [
        ({"url": "ftp://a.example/"}, "url", "https://"),
        ({"url": "http://10.0.0.1/"}, "url", "GUESTBOOK_ALLOW_NETWORKS"),
        ({"url": "https://a.example/" + "x" * 2000}, "url", "2,018 characters"),
        ({"headers": {"Host": "a"}}, "headers", "Host"),
        ({"headers": {"A: B": "a"}}, "headers", "A: B"),
        ({"headers": {"X-A": 5}}, "headers", "text"),
        ({"headers": {f"X-{number}": "a" for number in range(11)}}, "headers", "10"),
        ({"events": []}, "events", "At least one"),
        ({"events": ["comment.*"]}, "events", "comment.created"),
        ({"events": ["ping", "ping"]}, "events", "once"),
        ({"format": "xml"}, "format", "json"),
        ({"name": ""}, "name", "empty"),
        ({"name": "x" * 81}, "name", "81 characters"),
        ({"disabled": "true"}, "disabled", "true or false"),
        ({"public_key": "mine"}, "public_key", "no such field"),
    ],
)
def test_wrong_fields_are_refused(
    program: ApiClient, changes: dict[str, object], field: str, word: str
) -> None:
    webhook = program.post("/webhooks", {"url": URL})
    before = program.get(f"/webhooks/{webhook['id']}")
    for method, path in (("PATCH", f"/webhooks/{webhook['id']}"), ("POST", "/webhooks")):
        fields = program.refused(method, path, {"url": "https://other.example/", **changes})
        assert list(fields) == [field]
        assert word in fields[field]
    assert program.get("/webhooks")["webhooks"] == [before]


def test_an_example_of_an_event_is_sent_in_place_of_a_ping(program: ApiClient) -> None:
    hook = factories.webhook()
    sent = program.post(f"/webhooks/{hook}/test", {"event": "comment.published"}, 202)
    assert sent["event"] == "comment.published"
    assert '"id":"00000000000000000000000000000001"' in program.get(f"/deliveries/{sent['id']}")["payload"]
    assert program.post(f"/webhooks/{hook}/test", {}, 202)["event"] == "ping"
    assert "event" in program.refused("POST", f"/webhooks/{hook}/test", {"event": "x"})


TEXT = "It's a Secret to Everybody"


def test_a_key_pair_is_made_shown_by_half_and_rotated(program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL, "sign_with": "both"})
    place, first = f"/webhooks/{webhook['id']}", webhook["public_key"]
    assert first == signatures.public_key(factories.the(Webhook, webhook["id"]).signing_key or "")
    turned = program.post(f"{place}/rotate-key", {"overlap_hours": 2}, 200)
    assert (turned["previous_public_key"], turned["public_key"] != first) == (first, True)
    assert turned["previous_signing_key_expires_at"] > webhook["created_at"]
    assert program.post(f"{place}/rotate-key", status=200)["public_key"] != turned["public_key"]
    answers = [webhook, turned, program.get("/webhooks"), program.get(place)]
    assert "whsk_" not in json.dumps(answers)
    assert list(program.refused("POST", f"{place}/rotate-key", {"secret": TEXT})) == ["secret"]


SINCE = {"since": clock.to_text(clock.now() - timedelta(days=1))}
BOTH = "comment.created comment.published"


def test_they_are_counted_and_sent_in_parts(program: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfilling, "STORED_TOGETHER", 1)
    monkeypatch.setattr(webhooks, "MOST_BACKFILLED", 3)
    for _ in range(3):
        factories.sign()
    path = f"/webhooks/{factories.webhook(events=BOTH)}/backfill"
    counted = program.post(path, SINCE | {"dry_run": True}, status=200)
    assert counted == {
        "deliveries": 6, "comments": 3, "events": {"comment.created": 3, "comment.published": 3},
        "left": 0, "next_after": None, "there_already": 0, "maybe_pruned": 0,
    }  # fmt: skip
    assert program.get("/deliveries")["deliveries"] == []
    first = program.post(path, SINCE, status=202)
    assert (first["deliveries"], first["comments"], first["left"]) == (4, 2, 2)
    second = program.post(path, SINCE, status=202)
    assert (second["deliveries"], second["there_already"], second["left"]) == (2, 4, 0)
    assert second["next_after"] is None
    nothing = program.post(path, SINCE, status=200)
    assert (nothing["deliveries"], nothing["events"], nothing["there_already"]) == (0, {}, 6)
    assert len(program.get("/deliveries")["deliveries"]) == 6
    entry = program.get("/audit?action=backfilled&limit=1")["audit"][0]
    assert (entry["actor"], entry["object"]) == ("token", "webhook")


def test_a_call_goes_on_where_the_last_one_ended(program: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfilling, "READ_TOGETHER", 1)
    monkeypatch.setattr(webhooks, "LOOKED_AT_ONCE", 2)
    old = factories.webhook()
    comments = [factories.sign() for _ in range(4)]
    path = f"/webhooks/{old}/backfill"
    first = program.post(path, SINCE, status=200)
    assert (first["deliveries"], first["there_already"], first["next_after"]) == (0, 2, comments[1])
    second = program.post(path, SINCE | {"after": first["next_after"]}, status=200)
    assert (second["there_already"], second["next_after"]) == (2, comments[3])
    path = f"/webhooks/{factories.webhook()}/backfill"
    sent = program.post(path, SINCE | {"after": comments[0]}, status=202)
    assert (sent["deliveries"], sent["left"], sent["next_after"]) == (2, 0, comments[2])
    assert [row.comment_id for row in factories.deliveries()][4:] == comments[1:3]
    assert program.refused("POST", path, SINCE | {"after": "x"}).keys() == {"after"}


def test_a_long_count_ends_early(program: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfilling, "READ_TOGETHER", 1)
    monkeypatch.setattr(webhooks, "COUNT_LIMIT", 1)
    comments = [factories.sign() for _ in range(3)]
    path = f"/webhooks/{factories.webhook()}/backfill"
    counted = program.post(path, SINCE | {"dry_run": True}, status=200)
    assert (counted["deliveries"], counted["next_after"]) == (2, comments[1])


def test_a_wrong_backfill_is_refused(program: ApiClient) -> None:
    path = f"/webhooks/{factories.webhook(events='ping')}/backfill"
    sentence = program.ask("POST", path, SINCE).get_json()["error"]["message"]
    assert sentence.startswith("This webhook gets ping. Past events are comment.created, ")
    assert program.refused("POST", path, {"since": "yesterday"}).keys() == {"since"}
    assert program.refused("POST", path, {}).keys() == {"since"}
    assert program.ask("POST", f"/webhooks/{NOBODY}/backfill", SINCE).status_code == 404

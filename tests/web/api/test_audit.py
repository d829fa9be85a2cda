"""The audit log by the API: what programs did, and the list."""

from flask import Flask

from guestbook.auth import api_tokens
from guestbook.storage.database import writing
from tests.support import factories
from tests.support.api_client import ApiClient

URL = "https://receiver.example/hook"


def test_it_has_what_a_program_did_under_its_token_s_name(program: ApiClient) -> None:
    hook = program.post("/webhooks", {"url": URL, "name": "Chat"})["id"]
    program.patch(f"/webhooks/{hook}", {"url": "https://other.example/secret", "disabled": True})
    program.patch(f"/webhooks/{hook}", {"disabled": False})
    program.post(f"/webhooks/{hook}/rotate-secret", status=200)
    program.delete(f"/webhooks/{hook}")
    found = program.get("/audit?actor=token")["audit"]
    assert {(row["actor"], row["actor_name"]) for row in found} == {("token", "a program")}
    assert [(row["action"], row["detail"]) for row in found] == [
        ("deleted", None),
        ("rotated", "secret"),
        ("enabled", None),
        ("disabled", None),
        ("changed", "url (now at other.example)"),
        ("added", None),
    ]
    assert {(row["object"], row["object_id"], row["object_name"]) for row in found} == {
        ("webhook", hook, "Chat")
    }


def test_redelivering_and_deleting_a_comment_are_in_it(app: Flask, program: ApiClient) -> None:
    with app.app_context():
        delivery = factories.delivery(factories.webhook(), status="failed", attempts=1, claims=1)
        event = factories.inbound(factories.source(), status="failed", error="x")
        comment = factories.sign()
    program.post(f"/deliveries/{delivery}/redeliver", status=202)
    program.post(f"/inbox/{event}/reprocess", status=202)
    program.delete(f"/comments/{comment}")
    found = program.get("/audit?limit=3")["audit"]
    assert [(row["action"], row["object"], row["object_id"]) for row in found] == [
        ("deleted", "comment", comment),
        ("reprocessed", "inbound_event", event),
        ("redelivered", "delivery", delivery),
    ]


def test_the_list_has_pages_and_filters(app: Flask, program: ApiClient) -> None:
    with app.app_context(), writing() as session:
        for name in "abc":
            api_tokens.add(session, name)
    first = program.get("/audit?action=added&limit=2")
    assert [row["object_name"] for row in first["audit"]] == ["c", "b"]
    rest = program.get(first["next"])
    assert [row["object_name"] for row in rest["audit"]] == ["a", "a program"]
    assert rest["next"] is None
    assert program.get("/audit?until=2020-01-01T00:00:00Z")["audit"] == []
    assert len(program.get("/audit?since=2020-01-01T00:00:00Z")["audit"]) == 4
    for query in ("action=x", "actor=x", "since=x", "limit=0", "status=new"):
        program.refused("GET", f"/audit?{query}")


def test_it_needs_a_token_and_reading_is_enough(app: Flask, anybody: ApiClient) -> None:
    anybody.get("/audit", status=401)
    with app.app_context(), writing() as session:
        value = api_tokens.add(session, "Reader", scope="read")[1]
    assert ApiClient(app, value).get("/audit")["audit"]

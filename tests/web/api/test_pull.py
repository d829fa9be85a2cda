"""Receivers fetch their deliveries; links to a receiver's page are listed and revoked."""

import threading
import time
from typing import Any

import pytest
from flask import Flask

from guestbook.outbound.pulled_deliveries import NOT_PULLED
from guestbook.web.api import queue, webhooks
from tests.support import factories
from tests.support.api_client import NOBODY, ApiClient, new_token
from tests.support.receiver_person import BASE, add_link
from tests.support.visitor import Visitor


@pytest.fixture
def hook(app: Flask) -> str:  # noqa: ARG001  the factories fill it
    return factories.webhook("pull:")


def signed() -> None:
    factories.sign()


def taken(program: ApiClient, hook: str, query: str = "") -> dict[str, Any]:
    return program.get(f"/webhooks/{hook}/pending{query}")


def committed(program: ApiClient, hook: str, token: str, *results: dict[str, Any]) -> dict[str, int]:
    body = {"token": token, "results": list(results)}
    return program.post(f"/webhooks/{hook}/commit", body, 200)


def test_a_webhook_to_fetch_from_is_added_by_its_url(program: ApiClient) -> None:
    added = program.post("/webhooks", {"url": "pull:"})
    assert (added["url"], added["name"], added["format"]) == ("pull:", "Listener", "json")
    assert added["warnings"] == []
    assert added["secret"].startswith("whsec_")


def test_a_delivery_is_fetched_and_committed(program: ApiClient, hook: str) -> None:
    signed()
    found = taken(program, hook)
    [one] = found["deliveries"]
    assert (found["lease_seconds"], one["event"]) == (60, "comment.created")
    token, result = found["token"], {"id": one["id"], "ok": True}
    assert committed(program, hook, token, result) == {"recorded": 1, "late": 0}
    assert committed(program, hook, token, result) == {"recorded": 0, "late": 1}
    assert program.get(f"/deliveries/{one['id']}")["status"] == "processed"
    assert taken(program, hook)["deliveries"] == []


def test_a_look_at_the_headers_takes_nothing(program: ApiClient, hook: str) -> None:
    signed()
    assert program.ask("HEAD", f"/webhooks/{hook}/pending").status_code == 200
    assert len(taken(program, hook)["deliveries"]) == 1


def test_after_a_restart_the_first_token_gets_what_was_leased(
    program: ApiClient, app: Flask, hook: str
) -> None:
    signed()
    old = taken(program, hook)
    begun = taken(program, hook)
    assert begun["deliveries"] == []
    [again] = taken(program, hook, f"?first_token={begun['token']}")["deliveries"]
    [one] = old["deliveries"]
    assert (again["id"], again["payload"]) == (one["id"], one["payload"])
    assert committed(program, hook, old["token"], {"id": one["id"], "ok": True}) == {"recorded": 0, "late": 1}
    assert taken(program, hook, f"?first_token={begun['token']}")["deliveries"] == []
    other = ApiClient(app, new_token("another"))
    begun = taken(other, hook)
    assert taken(other, hook, f"?first_token={begun['token']}")["deliveries"] == []
    assert "first_token" in program.refused("GET", f"/webhooks/{hook}/pending?first_token=x")


def test_at_most_so_many_are_fetched(program: ApiClient, hook: str) -> None:
    for _ in range(3):
        signed()
    assert len(taken(program, hook, "?limit=2")["deliveries"]) == 2
    assert len(taken(program, hook, "?limit=2")["deliveries"]) == 1


def test_a_request_that_waits_gets_what_comes_meanwhile(program: ApiClient, hook: str) -> None:
    late = threading.Timer(0.3, signed)
    late.start()
    answer = program.ask("GET", f"/webhooks/{hook}/pending?wait=20", multithread=True)
    late.join()
    assert len(answer.get_json()["deliveries"]) == 1


def test_where_waiting_would_stop_visitors_it_answers_at_once(program: ApiClient, hook: str) -> None:
    began = time.monotonic()
    found = program.ask("GET", f"/webhooks/{hook}/pending?wait=20", multithread=False)
    assert found.get_json()["retry_after"] == webhooks.ASK_AGAIN
    for _ in range(webhooks.MOST_POLLS):
        assert webhooks.may_wait.acquire(blocking=False)
    try:
        found = program.ask("GET", f"/webhooks/{hook}/pending?wait=20", multithread=True)
        assert found.get_json()["retry_after"] == webhooks.ASK_AGAIN
    finally:
        webhooks.may_wait.release(webhooks.MOST_POLLS)
    assert time.monotonic() - began < 15


def test_other_and_disabled_webhooks_are_refused(program: ApiClient, hook: str) -> None:
    other = factories.webhook()
    body = {"token": NOBODY, "results": [{"id": NOBODY, "ok": True}]}
    for answer in (
        program.ask("GET", f"/webhooks/{other}/pending"),
        program.ask("POST", f"/webhooks/{other}/commit", body),
    ):
        assert (answer.status_code, answer.get_json()["error"]["message"]) == (409, NOT_PULLED)
    program.patch(f"/webhooks/{hook}", {"disabled": True})
    answer = program.ask("GET", f"/webhooks/{hook}/pending")
    assert (answer.status_code, answer.get_json()["error"]["message"]) == (409, webhooks.DISABLED)
    assert program.ask("GET", f"/webhooks/{NOBODY}/pending").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"results": [{"id": NOBODY, "ok": True}]}, "token"),
        ({"token": NOBODY, "results": []}, "results"),
        ({"token": NOBODY, "results": [{"id": "x", "ok": True}]}, "results"),
        ({"token": NOBODY, "results": [{"id": NOBODY}]}, "results"),
        ({"token": NOBODY, "results": [{"id": NOBODY, "ok": True, "x": 1}]}, "results"),
        ({"token": NOBODY, "results": [{"id": NOBODY, "ok": True, "milliseconds": -1}]}, "results"),
        ({"token": NOBODY, "results": [{"id": NOBODY, "ok": True, "error": "\ud800"}] * 21}, "results"),
    ],
)
def test_a_wrong_commit_is_refused(program: ApiClient, hook: str, body: dict[str, Any], field: str) -> None:
    assert field in program.refused("POST", f"/webhooks/{hook}/commit", body)


def test_a_wrong_field_of_a_result_is_named(program: ApiClient, hook: str) -> None:
    body = {"token": NOBODY, "results": [{"id": NOBODY, "ok": True, "status_code": 1000}]}
    fields = program.refused("POST", f"/webhooks/{hook}/commit", body)
    assert fields == {"results": "status_code: This must be at most 999."}


def test_what_a_receiver_has_is_not_redelivered_meanwhile(program: ApiClient, hook: str) -> None:
    signed()
    [one] = taken(program, hook)["deliveries"]
    answer = program.ask("POST", f"/deliveries/{one['id']}/redeliver")
    assert (answer.status_code, answer.get_json()["error"]["message"]) == (409, queue.BEING_FETCHED)


def test_an_error_that_no_database_takes_is_cleaned(program: ApiClient, hook: str) -> None:
    signed()
    found = taken(program, hook)
    [one] = found["deliveries"]
    result = {"id": one["id"], "ok": False, "error": "a\x00b\ud800c"}
    assert committed(program, hook, found["token"], result) == {"recorded": 1, "late": 0}
    assert program.get(f"/deliveries/{one['id']}")["last_error"]


def test_the_links_are_listed_without_their_addresses_and_revoked(app: Flask, program: ApiClient) -> None:
    webhook_id, other = factories.webhook(name="Shop"), factories.webhook(name="Other")
    link_id, address = add_link(webhook_id)
    newer, _ = add_link(webhook_id)
    add_link(other)
    place = f"/webhooks/{webhook_id}/receiver-links"
    first = program.get(f"{place}?limit=1")
    assert [one["id"] for one in first["receiver_links"]] == [newer]
    [link] = program.get(first["next"])["receiver_links"]
    assert (link["id"], link["name"], link["state"], link["webhook_id"]) == (
        link_id, "Ada", "works", webhook_id,
    )  # fmt: skip
    assert link["last_used_at"] is None
    assert not [value for value in link.values() if value and address.endswith(value)]
    program.post(f"/webhooks/{other}/receiver-links/{link_id}/revoke", status=404)
    assert Visitor(app).get(address.removeprefix(BASE)).status_code == 303
    assert program.post(f"{place}/{link_id}/revoke", status=200)["state"] == "revoked"
    assert Visitor(app).get(address.removeprefix(BASE)).status_code == 410

"""Deliveries and inbound events by the API: search them, see one, redeliver or reprocess one or many."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from guestbook.comments import comment_actions
from guestbook.comments.comment_form import Draft
from guestbook.lib import clock, verification
from guestbook.storage.models import Comment, Delivery, InboundEvent
from guestbook.storage.models.owner import SCOPES
from guestbook.web.api import queue
from tests.support import factories
from tests.support.api_client import NOBODY, ApiClient, new_token
from tests.support.receiver import Answer, Receiver

DAY = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def rows(app: Flask) -> dict[str, str]:  # noqa: ARG001  the factories fill it
    """Four deliveries of two webhooks, made an hour after another, and four inbound events of two sources."""
    one, two = factories.webhook(), factories.webhook()
    first, other = factories.source(), factories.source()
    hours = [DAY + timedelta(hours=number) for number in range(4)]
    return {
        "done": factories.delivery(one, created_at=hours[0], status="processed"),
        "ping": factories.delivery(one, created_at=hours[1], status="failed", event="ping"),
        "failed": factories.delivery(two, created_at=hours[2], status="failed"),
        "new": factories.delivery(two, created_at=hours[3]),
        "push": factories.inbound(first, status="processed", note="Logged.", event="push", sender="octocat"),
        "broken": factories.inbound(first, status="failed", error="The body is not UTF-8."),
        "lost": factories.inbound(other, status="failed"),
        "waiting": factories.inbound(other),
        **{"@one": one, "@first": first},
    }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("/deliveries?", "new failed ping done"),
        ("/deliveries?status=failed", "failed ping"),
        ("/deliveries?status=new", "new"),
        ("/deliveries?status=waiting", "new"),
        ("/deliveries?status=retrying", ""),
        ("/deliveries?status=given-up", "failed ping"),
        ("/deliveries?webhook=@one", "ping done"),
        ("/deliveries?webhook=@one&status=processed", "done"),
        ("/deliveries?event=ping", "ping"),
        ("/deliveries?since=2026-01-31T13:00:00Z", "new failed ping"),
        ("/deliveries?until=2026-01-31T13:00:00.000Z", "done"),
        ("/deliveries?since=2026-01-31T14:00:00%2B01:00&until=2026-01-31t14:00:00.001z", "failed ping"),
        ("/deliveries?since=9999-12-31T23:59:59Z", ""),
        ("/deliveries?since=0001-01-01T00:00:00%2B23:59", "new failed ping done"),
        (f"/deliveries?webhook={NOBODY}", ""),
        ("/deliveries?before=@failed", "ping done"),
        ("/inbox?", "waiting lost broken push"),
        ("/inbox?status=failed", "lost broken"),
        ("/inbox?status=new", "waiting"),
        ("/inbox?source=@first", "broken push"),
        ("/inbox?source=@first&status=processed", "push"),
        (f"/inbox?source={NOBODY}", ""),
        ("/inbox?before=@lost", "broken push"),
    ],
)
def test_rows_are_found_by_filters(program: ApiClient, rows: dict[str, str], query: str, names: str) -> None:
    key = "deliveries" if query.startswith("/deliveries") else "inbound_events"
    for name, row_id in rows.items():
        query = query.replace(f"=@{name.removeprefix('@')}", f"={row_id}")
    wanted = [rows[name] for name in names.split()]
    whole = program.get(query)
    assert ([row["id"] for row in whole[key]], whole["next"]) == (wanted, None)
    page = program.get(f"{query}&limit=1")
    seen = [row["id"] for row in page[key]]
    while page["next"]:
        page = program.get(page["next"])
        seen += [row["id"] for row in page[key]]
    assert seen == wanted


@pytest.mark.parametrize("path", ["/deliveries", "/inbox"])
def test_one_that_a_pass_works_on_is_left_alone(app: Flask, program: ApiClient, path: str) -> None:
    taken = {"claimed_by": "a pass", "due_at": clock.now() + timedelta(seconds=30), "claims": 1}
    with app.app_context():
        if path == "/deliveries":
            row_id, tail = factories.delivery(factories.webhook(), **taken), "redeliver"
        else:
            row_id, tail = factories.inbound(factories.source(), **taken), "reprocess"
        answer = program.ask("POST", f"{path}/{row_id}/{tail}")
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "conflict")
        model = Delivery if path == "/deliveries" else InboundEvent
        assert factories.the(model, row_id).claimed_by == "a pass"


def test_a_list_has_no_payloads_and_one_has_its_exact_body(program: ApiClient) -> None:
    payload = '{"a":  "ü\\u0000😀"}'
    row_id = factories.delivery(factories.webhook(), payload=payload)
    assert "payload" not in program.get("/deliveries")["deliveries"][0]
    shown = program.get(f"/deliveries/{row_id}")
    assert (shown["payload"], shown["attempts_made"]) == (payload, [])


def test_a_failure_says_why_and_is_sent_again(program: ApiClient, receiver: Receiver) -> None:
    receiver.answer("/", Answer(500, body=b"<b>no</b>"), Answer(200))
    factories.webhook(receiver.url())
    factories.sign()
    factories.run_pass()
    [row] = factories.deliveries()
    seen = program.get(f"/deliveries/{row.id}")
    assert (seen["status"], seen["attempts"], seen["last_status_code"]) == ("new", 1, 500)
    assert seen["attempts_made"][0]["response_body"] == "<b>no</b>"
    repeated = program.post(f"/deliveries/{row.id}/redeliver", status=202)
    assert repeated["due_at"] < seen["due_at"]
    factories.run_pass()
    seen = program.get(f"/deliveries/{row.id}")
    assert (seen["status"], seen["due_at"]) == ("processed", None)
    assert [attempt["triggered_by"] for attempt in seen["attempts_made"]] == ["schedule", "redelivery"]
    first, second = receiver.requests
    assert (first.event_id, first.body) == (second.event_id, second.body)


def test_redelivery_beside_moderation_always_gets_its_turn(each_app: Flask) -> None:
    factories.webhook()
    comments = [factories.sign(f"Hello {number}") for number in range(6)]
    rows = [row.id for row in factories.deliveries()]
    token = new_token()

    def redeliver(number: int) -> int:
        return ApiClient(each_app, token).ask("POST", f"/deliveries/{rows[number % 6]}/redeliver").status_code

    def moderate(number: int) -> int:
        action = {"ids": random.sample(comments, 4), "action": ("hold", "publish")[number % 2]}
        return ApiClient(each_app, token).ask("POST", "/moderate", action).status_code

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit((redeliver, moderate)[number % 2], number // 2) for number in range(80)]
        assert {one.result() for one in asked} <= {200, 202}


def test_a_list_of_events_has_no_payloads_and_one_has_all(program: ApiClient, rows: dict[str, str]) -> None:
    listed = program.get("/inbox")["inbound_events"][-1]
    assert not {"payload", "headers"} & set(listed)
    assert (listed["event"], listed["sender"], listed["note"]) == ("push", "octocat", "Logged.")
    shown = program.get(f"/inbox/{rows['push']}")
    assert (shown["payload"], shown["encoding"]) == ("{}", "text")
    assert shown["headers"] == {"content-type": "application/json"}
    assert shown["verification"]["ok"] is True
    assert shown | listed == shown


def test_bytes_come_in_base64_and_secrets_do_not_come(program: ApiClient) -> None:
    proof = verification.proof("another", factories.settings().secret_key)
    source = factories.source(verify="token", header="X-Api-Key", secret="opensesame")
    key = factories.inbound(source, payload="/wAB", encoding="base64", headers={"x-api-key": proof})
    shown = program.get(f"/inbox/{key}")
    assert (shown["payload"], shown["encoding"]) == ("/wAB", "base64")
    assert shown["headers"] == {"x-api-key": "(hidden)"}
    assert shown["verification"]["sentence"] == "The token in X-Api-Key is not this source's."
    assert {"name": "Header", "value": "X-Api-Key"} in shown["verification"]["steps"]
    assert "opensesame" not in str(shown)


def test_what_failed_is_worked_through_again(program: ApiClient, rows: dict[str, str]) -> None:
    second = program.post(f"/inbox/{rows['broken']}/reprocess", status=202)
    assert (second["status"], second["error"], second["processed_at"]) == ("new", None, None)
    factories.run_pass()
    seen = program.get(f"/inbox/{rows['broken']}")
    assert (seen["status"], seen["note"], seen["due_at"]) == ("processed", "Logged.", None)


FAILED = {"status": "failed", "attempts": 1, "claims": 1}


@pytest.fixture
def deliveries(app: Flask) -> dict[str, str]:  # noqa: ARG001  the factories fill it
    """Failed deliveries of two webhooks, the second one disabled, and one that was delivered."""
    old = clock.now() - timedelta(days=3)
    hook = factories.webhook()
    off = factories.webhook(name="off", disabled_at=old, disabled_reason="by_hand")
    return {
        "hook": hook,
        "off": off,
        "old": factories.delivery(hook, **FAILED, created_at=old),
        "new": factories.delivery(hook, **FAILED),
        "of_off": factories.delivery(off, **FAILED),
        "done": factories.delivery(hook, **FAILED | {"status": "processed"}),
    }


@pytest.mark.parametrize(
    ("address", "more", "most"),
    [
        ("/redeliver", {}, queue.MOST_REQUEUED),
        ("/reprocess", {}, queue.MOST_REQUEUED),
        ("/moderate", {"action": "hold"}, comment_actions.BULK_LIMIT),
    ],
)
def test_a_request_has_so_many_ids(program: ApiClient, address: str, more: dict[str, str], most: int) -> None:
    rows = [f"{number:032x}" for number in range(most + 1)]
    assert program.ask("POST", address, {"ids": rows[:-1], **more}).status_code in (200, 202)
    refused = program.post(address, {"ids": rows, **more}, status=422)
    assert refused["error"]["fields"] == {"ids": f"At most {most} are allowed."}


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"ids": ["new", "done"]}, "new done"),
        ({"failed": True}, "old new of_off"),
        ({"failed": True, "webhook": "hook"}, "old new"),
        ({"failed": True, "since": clock.to_text(clock.now() - timedelta(days=1))}, "new of_off"),
        ({"failed": True, "until": clock.to_text(clock.now() - timedelta(days=1))}, "old"),
        ({"all": True, "webhook": "hook", "since": "2020-01-01T00:00:00Z"}, "old new done"),
    ],
)
def test_redelivering(
    program: ApiClient, deliveries: dict[str, str], body: dict[str, Any], names: str
) -> None:
    wanted = {name: deliveries.get(str(value), value) for name, value in body.items()}
    if "ids" in body:
        wanted["ids"] = [deliveries[name] for name in body["ids"]]
    count = len(names.split())
    counted = program.post("/redeliver", wanted | {"dry_run": True}, status=200)
    assert counted["count"] == count
    assert program.get("/deliveries?status=new")["deliveries"] == []
    done = program.post("/redeliver", wanted, status=202)
    assert done == counted
    assert sum(group["count"] for group in done["groups"]) == count
    waiting = {row["id"] for row in program.get("/deliveries?status=new")["deliveries"]}
    assert waiting == {deliveries[name] for name in names.split()}
    entry = program.get("/audit?limit=1")["audit"][0]
    assert (entry["action"], entry["number"], entry["actor_name"]) == ("redelivered", count, "a program")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["ids"]),
        ({"failed": False}, ["ids"]),
        ({"ids": [NOBODY], "failed": True}, ["ids"]),
        ({"ids": []}, ["ids"]),
        ({"ids": ["x"]}, ["ids"]),
        ({"ids": [NOBODY, NOBODY]}, ["ids"]),
        ({"ids": [f"{number:032x}" for number in range(501)]}, ["ids"]),
        ({"ids": [NOBODY], "webhook": NOBODY, "since": "2026-01-31T00:00:00Z"}, ["webhook", "since"]),
        ({"failed": True, "webhook": NOBODY}, ["webhook"]),
        ({"failed": True, "since": "yesterday"}, ["since"]),
        ({"all": True}, ["webhook", "since"]),
        ({"all": True, "failed": True, "webhook": NOBODY, "since": "2026-01-31T00:00:00Z"}, ["ids"]),
        ({"all": True, "ids": [NOBODY]}, ["ids"]),
        ({"ids": [NOBODY], "until": "2026-01-31T00:00:00Z"}, ["until"]),
    ],
)
def test_what_does_not_fit_is_refused(program: ApiClient, body: dict[str, object], fields: list[str]) -> None:
    assert list(program.refused("POST", "/redeliver", body)) == fields


def test_a_dry_run_says_which_e_mails_go_out_a_second_time(program: ApiClient) -> None:
    mail = factories.webhook("mailto:owner@example.org", format="email")
    row_ids = [factories.delivery(mail, status=status) for status in ("processed", "failed")]
    counted = program.post("/redeliver", {"ids": row_ids, "dry_run": True}, 200)
    assert (counted["count"], [one["mailed"] for one in counted["groups"]]) == (2, [1])


def test_inbound_events_are_reprocessed(program: ApiClient) -> None:
    source = factories.source()
    rows = [factories.inbound(source, status=status) for status in ("failed", "processed")]
    assert program.post("/reprocess", {"failed": True, "source": source}, status=202)["count"] == 1
    waiting = program.get("/inbox?status=new")["inbound_events"]
    assert [row["id"] for row in waiting] == rows[:1]
    assert program.post("/reprocess", {"ids": rows[1:]}, status=202)["count"] == 1


def test_many_comments_are_moderated(program: ApiClient) -> None:
    rows = [factories.sign() for _ in range(3)]
    steps = (("hold", "held"), ("publish", "published"), ("spam", "spam"), ("restore", "published"))
    for action, status in (*steps, ("trash", "trash")):
        answer = program.post("/moderate", {"action": action, "ids": [*rows[:2], NOBODY]}, status=200)
        assert answer == {"done": rows[:2], "missing": [NOBODY]}
        assert [factories.the(Comment, row).status for row in rows] == [status, status, "published"]
    program.post("/moderate", {"action": "delete", "ids": rows[:1]}, status=200)
    program.get(f"/comments/{rows[0]}", 404)
    assert program.get("/audit?action=deleted")["audit"][0]["object_id"] == rows[0]


@pytest.mark.parametrize(
    ("query", "names"),
    [("words=hello+world", ["Ada"]), ("words=secret", ["Bob"]), ("words=%00", ["Bob", "Ada"])],
)
def test_comments_are_found_by_their_words(program: ApiClient, query: str, names: list[str]) -> None:
    factories.sign("Hello, world", "Ada")
    factories.sign_draft(Draft("Bob", None, "Good day", {}, note="A secret"))
    assert [row["name"] for row in program.get(f"/comments?{query}")["comments"]] == names


def test_a_search_of_comments_needs_a_token_for_it_finds_notes(anybody: ApiClient) -> None:
    anybody.get("/comments?words=secret", 401)


def test_deliveries_are_found_by_their_comment_and_their_payload(program: ApiClient) -> None:
    hook, comment = factories.webhook(), factories.sign("Grüße")
    other = factories.delivery(hook, payload='{"x": "needle"}')
    [about] = [row["id"] for row in program.get(f"/deliveries?comment={comment}")["deliveries"]]
    for query, found in {
        f"comment={comment}&webhook={hook}": [about],
        f"comment={NOBODY}": [],
        "text=needle": [other],
        "text=Gr%C3%BC%C3%9Fe": [about],
        "text=nothing": [],
    }.items():
        assert [row["id"] for row in program.get(f"/deliveries?{query}")["deliveries"]] == found, query


def test_inbound_events_are_found_by_all_that_the_page_asks_for(program: ApiClient) -> None:
    source = factories.source()
    factories.inbound(source)
    said = {"event": "issues.opened", "sender": "Octocat", "external_id": "7", "error": "Broken"}
    row = factories.inbound(source, status="failed", **said)
    for ask in ("event=issues", "sender=octo", "external_id=7", "text=broken", "since=2020-01-01T00:00:00Z"):
        found = program.get(f"/inbox?status=failed&{ask}")["inbound_events"]
        assert [one["id"] for one in found] == [row], ask
    for query in ("event=issue", "sender=x", "external_id=8", "text=x", "until=2020-01-01T00:00:00Z"):
        assert program.get(f"/inbox?{query}")["inbound_events"] == [], query


@pytest.mark.parametrize("path", ["/deliveries", "/inbox"])
def test_nobody_finds_out_hidden_addresses_letter_by_letter(app: Flask, path: str) -> None:
    moderator, owner = (ApiClient(app, new_token(scope=one)) for one in SCOPES[1:])
    answer = moderator.ask("GET", f"{path}?text=a")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "insufficient_scope")
    assert "The parameter text needs" in answer.get_json()["error"]["message"]
    assert 'scope="manage"' in answer.headers["WWW-Authenticate"]
    owner.get(f"{path}?text=a")

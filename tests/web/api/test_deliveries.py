"""The deliveries by the API: look through them, see one, send it again."""

import random
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from guestbook.auth import api_tokens
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock
from guestbook.storage.database import writing
from guestbook.storage.models import Delivery
from tests.support import factories
from tests.support.api_client import NOBODY, ApiClient, new_token
from tests.support.receiver import Answer, Receiver

DAY = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def rows(app: Flask) -> dict[str, str]:
    """Four deliveries of two webhooks, made an hour after another."""
    with app.app_context():
        one, two = factories.webhook(), factories.webhook()
        return {
            "first": factories.delivery(one, created_at=DAY, status="processed"),
            "second": factories.delivery(
                one, created_at=DAY + timedelta(hours=1), status="failed", event="ping"
            ),
            "third": factories.delivery(two, created_at=DAY + timedelta(hours=2), status="failed"),
            "fourth": factories.delivery(two, created_at=DAY + timedelta(hours=3)),
            "one": one,
            "two": two,
        }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "fourth third second first"),
        ("status=failed", "third second"),
        ("status=new", "fourth"),
        ("webhook=one", "second first"),
        ("webhook=one&status=processed", "first"),
        ("event=ping", "second"),
        ("since=2026-01-31T13:00:00Z", "fourth third second"),
        ("until=2026-01-31T13:00:00.000Z", "first"),
        ("since=2026-01-31T14:00:00%2B01:00&until=2026-01-31t14:00:00.001z", "third second"),
        ("since=9999-12-31T23:59:59Z", ""),
        ("since=0001-01-01T00:00:00%2B23:59", "fourth third second first"),
        (f"webhook={NOBODY}", ""),
        ("before=third", "second first"),
    ],
)
def test_they_are_found_by_what_they_are(
    program: ApiClient, rows: dict[str, str], query: str, names: str
) -> None:
    for name, row_id in rows.items():
        query = query.replace(f"={name}", f"={row_id}")
    found = program.get(f"/deliveries?{query}")
    assert [row["id"] for row in found["deliveries"]] == [rows[name] for name in names.split()]
    assert found["next"] is None


@pytest.mark.usefixtures("rows")
def test_pages_keep_to_what_was_asked(program: ApiClient) -> None:
    page = program.get("/deliveries?limit=1&status=failed&since=2026-01-31T00:00:00%2B01:00")
    following = program.get(page["next"])
    assert page["deliveries"][0]["id"] > following["deliveries"][0]["id"]
    assert following["deliveries"][0]["status"] == "failed"
    assert following["next"] is None


@pytest.mark.parametrize(
    "query",
    [
        "status=sent",
        "webhook=1",
        "event=comment.*",
        "since=yesterday",
        "since=2026-01-31",
        "since=2026-02-30T00:00:00Z",
        "since=2026-01-31T00:00:00",
        "until=2026-01-31T25:00:00Z",
        "until=%D9%A2026-01-31T00:00:00Z",
        "limit=1000",
        "before=%00",
        "text=",
    ],
)
def test_a_query_that_is_wrong_is_refused_by_name(program: ApiClient, query: str) -> None:
    assert list(program.refused("GET", f"/deliveries?{query}")) == [query.partition("=")[0]]


def test_a_list_has_no_payloads_and_one_has_its_exact_body(app: Flask, program: ApiClient) -> None:
    payload = '{"a":  "ü\\u0000😀"}'
    with app.app_context():
        row_id = factories.delivery(factories.webhook(), payload=payload)
    assert "payload" not in program.get("/deliveries")["deliveries"][0]
    shown = program.get(f"/deliveries/{row_id}")
    assert (shown["payload"], shown["attempts_made"]) == (payload, [])


def test_a_failure_says_why_and_is_sent_again(app: Flask, program: ApiClient, receiver: Receiver) -> None:
    receiver.answer("/", Answer(500, body=b"<b>no</b>"), Answer(200))
    with app.app_context():
        factories.webhook(receiver.url())
        factories.sign()
        factories.run_pass()
        [row] = factories.deliveries()
    seen = program.get(f"/deliveries/{row.id}")
    assert (seen["status"], seen["attempts"], seen["last_status_code"]) == ("new", 1, 500)
    assert seen["attempts_made"][0]["response_body"] == "<b>no</b>"
    repeated = program.post(f"/deliveries/{row.id}/redeliver", status=202)
    assert repeated["due_at"] < seen["due_at"]
    with app.app_context():
        factories.run_pass()
    seen = program.get(f"/deliveries/{row.id}")
    assert (seen["status"], seen["due_at"]) == ("processed", None)
    assert [attempt["triggered_by"] for attempt in seen["attempts_made"]] == ["schedule", "redelivery"]
    first, second = receiver.requests
    assert (first.event_id, first.body) == (second.event_id, second.body)


def test_one_that_a_pass_has_in_hand_is_left_alone(app: Flask, program: ApiClient) -> None:
    soon = clock.now() + timedelta(seconds=30)
    with app.app_context():
        row_id = factories.delivery(factories.webhook(), claimed_by="a pass", due_at=soon, claims=1)
        answer = program.ask("POST", f"/deliveries/{row_id}/redeliver")
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "conflict")
        assert factories.the(Delivery, row_id).claimed_by == "a pass"


def test_an_id_of_nobody_is_not_found(program: ApiClient) -> None:
    for row_id in (NOBODY, "x", "%00"):
        program.get(f"/deliveries/{row_id}", 404)
        program.post(f"/deliveries/{row_id}/redeliver", status=404)


def test_a_program_that_may_only_read_sees_no_link_to_moderate(app: Flask, receiver: Receiver) -> None:
    receiver.answer("/", Answer(200, body=b"/moderate/" + b"0" * 88))
    with app.app_context():
        factories.webhook(receiver.url(), moderation_links_since=clock.now())
        factories.sign(verdict=Classification("held", ("It holds 9 links.",)))
        factories.run_pass()
        delivery_id = factories.one().id
        with writing() as session:
            reader, moderator = (
                api_tokens.add(session, scope, scope=scope)[1] for scope in ("read", "moderate")
            )
    for token, is_hidden in ((reader, True), (moderator, False)):
        seen = ApiClient(app, token).get(f"/deliveries/{delivery_id}")
        [attempt] = seen["attempts_made"]
        for text in (seen["payload"], attempt["response_body"]):
            assert ("/moderate/(hidden)" in text) == is_hidden
            assert (re.search("/moderate/[0-9a-f]", text) is None) == is_hidden


def test_redelivery_beside_moderation_always_gets_its_turn(each_app: Flask) -> None:
    with each_app.app_context():
        factories.webhook()
        comments = [factories.sign(f"Hello {number}") for number in range(6)]
        rows = [row.id for row in factories.deliveries()]
    token = new_token(each_app)

    def redeliver(number: int) -> int:
        return ApiClient(each_app, token).ask("POST", f"/deliveries/{rows[number % 6]}/redeliver").status_code

    def moderate(number: int) -> int:
        action = {"ids": random.sample(comments, 4), "action": ("hold", "publish")[number % 2]}
        return ApiClient(each_app, token).ask("POST", "/moderate", action).status_code

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit((redeliver, moderate)[number % 2], number // 2) for number in range(80)]
        assert {one.result() for one in asked} <= {200, 202}

"""Many rows at once by the API: redeliver, reprocess, moderate."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from guestbook.auth import api_tokens
from guestbook.comments import book
from guestbook.lib import clock
from guestbook.storage.database import writing
from guestbook.storage.models import Comment
from guestbook.web.api import queue
from tests.support import factories
from tests.support.api_client import NOBODY, ApiClient

FAILED = {"status": "failed", "attempts": 1, "claims": 1}


@pytest.fixture
def deliveries(app: Flask) -> dict[str, str]:
    """Failed deliveries of two webhooks, the second one disabled, and one that was delivered."""
    old = clock.now() - timedelta(days=3)
    with app.app_context():
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
        ("/moderate", {"action": "hold"}, book.BULK_LIMIT),
    ],
)
def test_a_request_may_name_so_many_rows(
    program: ApiClient, address: str, more: dict[str, str], most: int
) -> None:
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
    ],
)
def test_deliveries_are_redelivered(
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


@pytest.mark.usefixtures("deliveries")
def test_the_answer_says_which_wait_for_a_disabled_webhook(program: ApiClient) -> None:
    groups = program.post("/redeliver", {"failed": True}, status=202)["groups"]
    assert {group["name"]: (group["disabled"], group["count"]) for group in groups} == {
        "one": (False, 2),
        "off": (True, 1),
    }


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
    ],
)
def test_what_does_not_go_together_is_refused(
    program: ApiClient, body: dict[str, object], fields: list[str]
) -> None:
    assert list(program.refused("POST", "/redeliver", body)) == fields


def test_inbound_events_are_reprocessed(app: Flask, program: ApiClient) -> None:
    with app.app_context():
        source = factories.source()
        rows = [factories.inbound(source, status=status) for status in ("failed", "processed")]
    assert program.post("/reprocess", {"failed": True, "source": source}, status=202)["count"] == 1
    waiting = program.get("/inbox?status=new")["inbound_events"]
    assert [row["id"] for row in waiting] == rows[:1]
    assert program.post("/reprocess", {"ids": rows[1:]}, status=202)["count"] == 1


def test_many_comments_are_moderated(app: Flask, program: ApiClient) -> None:
    with app.app_context():
        rows = [factories.sign() for _ in range(3)]
    steps = (("hold", "held"), ("publish", "published"), ("spam", "spam"), ("restore", "published"))
    for action, status in (*steps, ("trash", "trash")):
        answer = program.post("/moderate", {"action": action, "ids": [*rows[:2], NOBODY]}, status=200)
        assert answer == {"done": rows[:2], "missing": [NOBODY]}
        with app.app_context():
            assert [factories.the(Comment, row).status for row in rows] == [status, status, "published"]
    program.post("/moderate", {"action": "delete", "ids": rows[:1]}, status=200)
    program.get(f"/comments/{rows[0]}", 404)
    assert program.get("/audit?action=deleted")["audit"][0]["object_id"] == rows[0]


def test_moderating_needs_a_token_that_may(app: Flask, program: ApiClient) -> None:
    with app.app_context():
        row = factories.sign()
        with writing() as session:
            tokens = [api_tokens.add(session, scope, scope=scope)[1] for scope in ("read", "moderate")]
    reader, moderator = (ApiClient(app, value) for value in tokens)
    reader.post("/moderate", {"action": "hold", "ids": [row]}, status=403)
    moderator.post("/moderate", {"action": "hold", "ids": [row]}, status=200)
    moderator.post("/redeliver", {"failed": True}, status=403)
    assert list(program.refused("POST", "/moderate", {"action": "burn", "ids": [row]})) == ["action"]
    assert list(program.refused("POST", "/moderate", {"action": "hold"})) == ["ids"]

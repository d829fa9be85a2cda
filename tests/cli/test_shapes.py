"""A program that reads `--json` and one that calls the API get the same of each row."""

import json

import pytest
from flask import Flask, g

from guestbook.auth import api_tokens
from guestbook.inbound import request_bins
from guestbook.outbound import receiver_links
from guestbook.storage.models import Webhook
from tests.cli.conftest import Shell
from tests.support import factories
from tests.support.api_client import ApiClient, new_token


@pytest.fixture
def ids(shell: Shell) -> dict[str, str]:
    """Fill the book with a row of each kind."""
    assert shell.json("webhooks", "list") == []
    webhook_id = factories.webhook(headers={"X-Key": "hidden value"}, events="comment.created ping")
    delivery_id = factories.delivery(webhook_id, status="failed", attempts=1, claims=1)
    factories.attempt(delivery_id)
    signed = {"header": "X-Signature", "scheme": {"hash": "sha512"}}
    source_id = factories.source(verify="hmac", secret="a secret", **signed)
    return {
        "webhooks": webhook_id,
        "deliveries": delivery_id,
        "sources": source_id,
        "inbox": factories.inbound(source_id),
        "comments": factories.sign("Hello"),
        "bins": factories.written(lambda session: request_bins.add(session, {"name": "shapes"}).id),
        "tokens": factories.written(lambda session: api_tokens.add(session, "shapes")[0].id),
        "receiver-links": factories.written(
            lambda session: receiver_links.add(session, session.get_one(Webhook, webhook_id)).id
        ),
    }


def test_a_row_has_one_shape_in_commands_and_the_api(app: Flask, shell: Shell, ids: dict[str, str]) -> None:
    program = ApiClient(app, new_token())
    for noun in ("webhooks", "deliveries", "sources", "inbox", "comments", "bins", "tokens"):
        key = {"inbox": "inbound_events"}.get(noun, noun)
        g.pop("api_query", None)  # the application's context of the test outlives a request
        shown = {one["id"]: one for one in program.get(f"/{noun}")[key]}[ids[noun]]
        listed = {one["id"]: one for one in shell.json(noun, "list")}[ids[noun]]
        more = {"requests": 0} if noun == "bins" else {}
        assert listed == shown | more, noun
    g.pop("api_query", None)
    links = program.get(f"/webhooks/{ids['webhooks']}/receiver-links")["receiver_links"]
    assert shell.json("receiver-links", "list", ids["webhooks"]) == links
    assert shell.json("spam", "show") == program.get("/spam")
    examined = json.loads(shell.result("doctor", "--json").stdout)
    assert examined.keys() == program.get("/doctor").keys()
    g.pop("api_query", None)
    entries = program.get("/audit")["audit"]
    assert shell.json("audit")[: len(entries)] == entries


def test_a_row_in_full_has_one_shape_but_for_secrets(app: Flask, shell: Shell, ids: dict[str, str]) -> None:
    program = ApiClient(app, new_token())
    for noun in ("deliveries", "inbox", "comments"):
        assert shell.json(noun, "show", ids[noun]) == program.get(f"/{noun}/{ids[noun]}"), noun
    for noun in ("webhooks", "sources"):
        show, public = (noun, "show", ids[noun]), program.get(f"/{noun}/{ids[noun]}")
        assert shell.json(*show) == public
        shown = shell.json(*show, "--secret")
        assert shown.keys() - public.keys() == {"secret", "previous_secret"}
        assert {name for name in public if shown[name] != public[name]} <= {"headers"}
    url = shell.json("bins", "show", ids["bins"])["url"]
    app.test_client().post(url.removeprefix("http://localhost"), data=b"\xff")
    (request,) = shell.json("bins", "show", ids["bins"])["requests"]
    assert request == program.get(f"/bins/{ids['bins']}/requests/{request['id']}")

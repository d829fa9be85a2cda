"""The searches of the admin lists as parameters of the API's lists."""

import pytest
from flask import Flask

from guestbook.auth import api_tokens
from guestbook.comments.comment_form import Draft
from guestbook.storage.database import writing
from guestbook.storage.models.owner import SCOPES
from tests.support import factories
from tests.support.api_client import NOBODY, ApiClient


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("words=hello", ["Ada"]),
        ("words=hello+world", ["Ada"]),
        ("words=secret", ["Bob"]),
        ("words=hello+secret", []),
        ("words=%00", ["Bob", "Ada"]),
        ("words=100%25", []),
    ],
)
def test_comments_are_found_by_their_words(
    app: Flask, program: ApiClient, query: str, names: list[str]
) -> None:
    with app.app_context():
        factories.sign("Hello, world", "Ada")
        factories.sign_draft(Draft("Bob", None, "Good day", {}, note="A secret"))
    assert [row["name"] for row in program.get(f"/comments?{query}")["comments"]] == names


def test_a_search_of_comments_needs_a_token_for_it_finds_notes(anybody: ApiClient) -> None:
    anybody.get("/comments?words=secret", 401)


def test_deliveries_are_found_by_their_comment_and_their_payload(app: Flask, program: ApiClient) -> None:
    with app.app_context():
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
    for query in ("comment=x", "text=", "text=" + "x" * 201):
        program.refused("GET", f"/deliveries?{query}")


def test_inbound_events_are_found_by_all_that_the_page_asks_for(app: Flask, program: ApiClient) -> None:
    with app.app_context():
        source = factories.source()
        factories.inbound(source)
        row = factories.inbound(
            source, status="failed", event="issues.opened", sender="Octocat", external_id="7", error="Broken"
        )
    for query in (
        "event=issues",
        "sender=octo",
        "external_id=7",
        "text=broken",
        "since=2020-01-01T00:00:00Z",
    ):
        found = program.get(f"/inbox?status=failed&{query}")["inbound_events"]
        assert [one["id"] for one in found] == [row], query
    for query in ("event=issue", "sender=x", "external_id=8", "text=x", "until=2020-01-01T00:00:00Z"):
        assert program.get(f"/inbox?{query}")["inbound_events"] == [], query


@pytest.mark.parametrize("path", ["/deliveries", "/inbox"])
def test_nobody_finds_out_hidden_addresses_letter_by_letter(app: Flask, path: str) -> None:
    with app.app_context(), writing() as session:
        moderator, owner = (ApiClient(app, api_tokens.add(session, one, scope=one)[1]) for one in SCOPES[1:])
    answer = moderator.ask("GET", f"{path}?text=a")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "insufficient_scope")
    assert 'scope="manage"' in answer.headers["WWW-Authenticate"]
    owner.get(f"{path}?text=a")

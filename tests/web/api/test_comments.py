"""The comments by the API: anybody reads and writes, the owner's programs decide."""

from typing import Any

import pytest
from flask import Flask

from guestbook.comments.comment_form import DRAFT_FIELDS
from guestbook.storage.comment_fields import PUBLIC_FIELDS
from tests.support import factories
from tests.support.api_client import ApiClient
from tests.support.visitor import add, set_, stored

GREETING = {"name": "Ada", "message": "Hello"}
LINKS = "http://a.example " * 4
PRIVATE = {"reason", "form_key", "email", "ip"}


def ids(answer: Any) -> list[str]:
    return [comment["id"] for comment in answer["comments"]]


def events() -> list[str]:
    return [row.event for row in factories.deliveries()]


@pytest.fixture
def subscribed(app: Flask) -> None:  # noqa: ARG001  the factories fill it
    """A receiver that hears of everything."""
    factories.webhook(events="comment.created comment.published comment.deleted comment.replied")


def test_a_comment_that_is_written_stands_in_the_book(anybody: ApiClient) -> None:
    sent = GREETING | {"website": "example.org", "message": "Hi\r\nthere"}
    answer = anybody.ask("POST", "/comments", sent)
    [row] = stored()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"https://book.example/api/v1/comments/{row.id}"
    assert answer.get_json() == dict.fromkeys(PUBLIC_FIELDS) | {
        "id": row.id,
        "name": "Ada",
        "website": "https://example.org",
        "message": "Hi\nthere",
        "status": "published",
        "url": f"https://book.example/comments/{row.id}",
        "created_at": answer.get_json()["created_at"],
        "number": 1,
        "page": None,
        "reply": None,
    }
    assert anybody.get(f"/comments/{row.id}") == answer.get_json()
    assert anybody.get("/comments") == {"comments": [answer.get_json()], "next": None}


@pytest.mark.usefixtures("subscribed")
def test_a_comment_by_the_api_makes_the_same_events_as_one_by_the_form(anybody: ApiClient) -> None:
    anybody.post("/comments", GREETING)
    assert events() == ["comment.created", "comment.published"]


def test_a_suspicious_one_is_held_and_only_the_owner_sees_why(anybody: ApiClient, program: ApiClient) -> None:
    shown = anybody.post("/comments", {**GREETING, "message": LINKS}, 202)
    [row] = stored()
    assert (row.status, shown["status"]) == ("held", "held")
    assert not PRIVATE & set(shown)
    assert anybody.get("/comments")["comments"] == []
    anybody.get(f"/comments/{row.id}", 404)
    assert "links" in program.get(f"/comments/{row.id}")["reason"]


@pytest.mark.parametrize("status", ["held", "spam", "trash"])
def test_what_is_unpublished_is_for_tokens_alone(anybody: ApiClient, program: ApiClient, status: str) -> None:
    [row_id] = add(["Secret"], status=status, reason="Because.")
    anybody.get(f"/comments/{row_id}", 404)
    anybody.get(f"/comments?status={status}", 401)
    anybody.get("/comments?status=all", 401)
    assert ids(program.get("/comments")) == []
    assert ids(program.get(f"/comments?status={status}")) == [row_id]
    assert ids(program.get("/comments?status=all")) == [row_id]
    assert program.get(f"/comments/{row_id}")["reason"] == "Because."


def test_pages_lead_to_the_end_newest_first(anybody: ApiClient) -> None:
    row_ids = add([str(number) for number in range(7)])
    seen: list[str] = []
    following: str | None = "/comments?limit=3"
    while following:
        page = anybody.get(following)
        seen += ids(page)
        following = page["next"]
        assert following is None or following.startswith("https://book.example/api/v1/comments?")
    assert seen == row_ids[::-1]


def test_a_program_asks_for_what_is_new_since_it_last_came(program: ApiClient) -> None:
    row_ids = add([str(number) for number in range(6)])
    first = program.get(f"/comments?after={row_ids[1]}&limit=3&status=all")
    assert ids(first) == row_ids[:2:-1]
    second = program.get(first["next"])
    assert (ids(second), second["next"]) == ([row_ids[2]], None)
    assert program.get(f"/comments?after={row_ids[-1]}") == {"comments": [], "next": None}


def test_all_that_is_wrong_in_a_comment_is_said_at_once(anybody: ApiClient) -> None:
    wrong = {"name": "\u200b", "website": "javascript:alert(1)", "message": "x" * 4001, "e-mail": "a@b.c"}
    fields = anybody.refused("POST", "/comments", wrong)
    assert fields == {
        "name": "Please write your name.",
        "website": "Only addresses that start with http:// or https:// can be linked.",
        "message": "This has 4,001 characters. Please use at most 4,000.",
        "e-mail": f"There is no such field. The fields are {', '.join(DRAFT_FIELDS)}, answer, page.",
    }
    assert stored() == []


def test_what_is_missing_or_of_another_type_is_said_too(anybody: ApiClient) -> None:
    assert anybody.refused("POST", "/comments", {}) == {
        "name": "This is missing.",
        "message": "This is missing.",
    }
    assert anybody.refused("POST", "/comments", {"name": 5, "message": ["a"]}) == {
        "name": "This must be text.",
        "message": "This must be text.",
    }


def test_a_closed_book_takes_no_comment(anybody: ApiClient, program: ApiClient) -> None:
    set_(closed="yes")
    for one in (anybody, program):
        assert "closed" in one.post("/comments", GREETING, 403)["error"]["message"]
    assert stored() == []


@pytest.mark.usefixtures("subscribed")
def test_publishing_what_was_held_tells_receivers_of_it_as_it_is_then(program: ApiClient) -> None:
    row_id = program.post("/comments", {**GREETING, "message": LINKS}, 202)["id"]
    changes = {"status": "published", "message": "Hello without links", "reply": "Welcome!"}
    shown = program.patch(f"/comments/{row_id}", changes)
    assert (shown["status"], shown["message"]) == ("published", "Hello without links")
    assert shown["reply"]["message"] == "Welcome!"
    assert events() == ["comment.created", "comment.published", "comment.replied"]
    assert "Hello without links" in factories.deliveries()[1].payload


def test_a_change_leaves_alone_what_it_does_not_name(program: ApiClient) -> None:
    row_id = program.post("/comments", {**GREETING, "website": "example.org"})["id"]
    assert program.patch(f"/comments/{row_id}", {"name": "Grace"})["website"] == "https://example.org"
    assert program.patch(f"/comments/{row_id}", {"website": None})["name"] == "Grace"
    assert program.get(f"/comments/{row_id}")["website"] is None


def test_a_reply_is_shown_to_everybody_and_can_be_taken_away(anybody: ApiClient, program: ApiClient) -> None:
    row_id = anybody.post("/comments", GREETING)["id"]
    program.patch(f"/comments/{row_id}", {"reply": "Thank you"})
    assert anybody.get(f"/comments/{row_id}")["reply"]["message"] == "Thank you"
    assert anybody.get("/comments")["comments"][0]["reply"]["message"] == "Thank you"
    program.patch(f"/comments/{row_id}", {"reply": None})
    assert anybody.get(f"/comments/{row_id}")["reply"] is None


def test_a_change_that_is_wrong_in_one_thing_changes_nothing(program: ApiClient) -> None:
    row_id = program.post("/comments", {**GREETING, "message": "😀" * 4000})["id"]
    long = {"status": "trash", "message": "x" * 4000, "name": "Grace", "website": None, "reply": "😀" * 4000}
    assert list(program.refused("PATCH", f"/comments/{row_id}", long)) == ["reply"]
    assert list(program.refused("PATCH", f"/comments/{row_id}", {"status": "gone"})) == ["status"]
    program.patch(f"/comments/{row_id}", {}, 422)
    assert [(row.status, row.message) for row in stored()] == [("published", "😀" * 4000)]


@pytest.mark.usefixtures("subscribed")
def test_a_deleted_comment_is_gone_and_receivers_hear_of_it(program: ApiClient) -> None:
    row_id = program.post("/comments", GREETING)["id"]
    program.delete(f"/comments/{row_id}")
    assert stored() == []
    assert events()[-1] == "comment.deleted"
    program.delete(f"/comments/{row_id}", 404)
    program.patch(f"/comments/{row_id}", {"name": "Ada"}, 404)


def test_any_website_may_read_what_is_public_and_nothing_else(anybody: ApiClient, program: ApiClient) -> None:
    row_id = program.post("/comments", GREETING)["id"]
    for path in ("/comments", f"/comments/{row_id}", "/openapi.json"):
        headers = anybody.ask("GET", path).headers
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "no-store" not in headers["Cache-Control"]
    private = [
        program.ask("GET", "/comments"),
        program.ask("GET", "/webhooks"),
        anybody.ask("GET", "/webhooks"),
    ]
    for answer in [*private, anybody.ask("POST", "/comments", GREETING), anybody.ask("OPTIONS", "/webhooks")]:
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"

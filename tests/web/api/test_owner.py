"""The settings of the book and the audit log by the API."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from guestbook.auth import api_tokens
from guestbook.storage import preferences
from guestbook.storage.database import writing
from guestbook.storage.preferences import PREFERENCE_FIELDS
from tests.support.api_client import ApiClient, new_token


def test_they_have_the_types_of_json(program: ApiClient) -> None:
    shown = program.get("/settings")
    assert set(shown) == set(PREFERENCE_FIELDS)
    assert (shown["title"], shown["per_page"], shown["closed"]) == ("Guestbook", 20, False)


def test_some_are_changed_and_the_others_stay(program: ApiClient) -> None:
    before = program.get("/settings")
    changes = {
        **{"title": "Our book", "per_page": 5, "closed": True, "look": "terminal"},
        **{"embed_sites": "https://one.example\nhttps://two.example", "own_css": "b {\n  color: red;\n}"},
    }
    assert program.patch("/settings", changes) == before | changes
    assert program.get("/settings") == before | changes
    assert "Our book" in program.client.get("/").text
    [entry] = program.get("/audit?actor=token")["audit"]
    assert (entry["action"], entry["object"], entry["actor_name"]) == ("changed", "settings", "a program")


def test_a_number_may_be_written_with_a_fraction_of_zero(program: ApiClient) -> None:
    sent = {"data": '{"per_page": 1e1, "rate": 50.0}', "content_type": "application/json"}
    shown = program.client.patch("/api/v1/settings", headers=program.headers, **sent).json
    assert (shown["per_page"], shown["rate"]) == (10, 50)


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": " "},
        {"title": None},
        {"per_page": 0},
        {"per_page": "5"},
        {"closed": "yes"},
        {"look": "x"},
        {"timezone": "Nowhere/Here"},
        {"embed_sites": "no site"},
        {"webring_home": "javascript:x"},
        {"own_css": "x" * 10_001},
        {"nothing": 1},
    ],
)
def test_a_wrong_one_is_named_and_none_is_changed(program: ApiClient, wrong: dict[str, Any]) -> None:
    assert program.refused("PATCH", "/settings", wrong | {"prompt": "Hi"}).keys() == wrong.keys()
    assert program.get("/settings")["prompt"] == ""


def test_some_need_others(program: ApiClient) -> None:
    assert list(program.refused("PATCH", "/settings", {"question": "2 + 2?"})) == ["answers"]
    assert list(program.refused("PATCH", "/settings", {"pictures": "glyphs"})) == ["glyphs"]
    program.patch("/settings", {"question": "2 + 2?", "answers": "4"})


def test_a_program_waits_for_the_owner_who_is_saving(each_app: Flask) -> None:
    program = ApiClient(each_app, new_token())
    read = {"If-Match": program.ask("GET", "/settings").headers["ETag"]}
    with ThreadPoolExecutor() as threads:
        with each_app.app_context(), writing() as session:
            preferences.save(session, {"title": "The owner's"})
            waiting = threads.submit(program.ask, "PATCH", "/settings", {"title": "Mine"}, headers=read)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
        assert waiting.result(timeout=20).status_code == 412
    assert program.get("/settings")["title"] == "The owner's"


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
    about = {(row["object"], row["object_id"], row["object_name"]) for row in found}
    assert about == {("webhook", hook, "Chat")}


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

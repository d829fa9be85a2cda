"""Bins by the API: add, change, and what arrived."""

import base64

import pytest
from flask import Flask

from tests.support.api_client import NOBODY, ApiClient, new_token
from tests.support.receiver import Receiver


@pytest.fixture
def held(program: ApiClient) -> str:
    """The path of a bin that has caught a request with a password."""
    made = program.post("/bins", {"name": "Trap"})
    where = made["url"].removeprefix("https://book.example")
    program.client.post(f"{where}/a?b=c", data=b'{"x": 1}', headers={"X-Key": "opensesame"})
    return f"/bins/{made['id']}"


def test_one_is_added_and_changed_field_by_field(program: ApiClient) -> None:
    fields = {
        **{"name": "Slow", "answer_status": 503, "answer_body": "No", "answer_type": "application/json"},
        **{"delay_milliseconds": 1500, "failures_left": 2},
    }
    made = program.post("/bins", fields)
    assert {name: made[name] for name in fields} == fields
    assert program.get(f"/bins/{made['id']}") == made
    assert program.get("/bins") == {"bins": [made], "next": None}
    assert program.patch(f"/bins/{made['id']}", {"failures_left": 0})["answer_status"] == 503
    assert [row["action"] for row in program.get("/audit?actor=token")["audit"]] == ["changed", "added"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"answer_status": 100},
        {"answer_body": "x" * 4001},
        {"answer_body": "\0"},
        {"answer_type": "text/html"},
        {"delay_milliseconds": 6000},
        {"failures_left": -1},
    ],
)
def test_a_wrong_field_is_named(program: ApiClient, wrong: dict[str, object]) -> None:
    assert program.refused("POST", "/bins", wrong).keys() == wrong.keys()


def test_what_arrived_is_listed_and_shown(program: ApiClient, held: str) -> None:
    [row] = program.get(f"{held}/requests")["requests"]
    assert (row["method"], row["path"], row["query"], row["size"]) == ("POST", "/a", "b=c", 8)
    shown = program.get(f"{held}/requests/{row['id']}")
    assert (shown["body"], shown["encoding"]) == ('{"x": 1}', "text")
    assert {"name": "X-Key", "value": "opensesame"} in shown["headers"]
    assert [one["matches"] for one in shown["signatures"]] == [False]
    assert shown | row == shown


def test_a_token_that_may_only_read_sees_no_passwords_of_others(app: Flask, held: str) -> None:
    reader = ApiClient(app, new_token(scope="read"))
    [row] = reader.get(f"{held}/requests")["requests"]
    shown = reader.get(f"{held}/requests/{row['id']}")
    assert {"name": "X-Key", "value": "(hidden)"} in shown["headers"]
    assert "opensesame" not in str(shown)


def test_a_link_to_moderate_is_hidden_in_bytes_too(app: Flask, program: ApiClient, held: str) -> None:
    reader = ApiClient(app, new_token(scope="read"))
    link = b"\xff/moderate/" + b"0" * 88
    program.client.post(program.get(held)["url"], data=link)
    row = program.get(f"{held}/requests")["requests"][0]
    for client, seen in ((reader, b"\xff/moderate/(hidden)"), (program, link)):
        shown = client.get(f"{held}/requests/{row['id']}")
        assert (base64.b64decode(shown["body"]), shown["encoding"]) == (seen, "base64")


def test_it_is_sent_again_to_another_url(program: ApiClient, held: str, receiver: Receiver) -> None:
    [row] = program.get(f"{held}/requests")["requests"]
    url = f"{held}/requests/{row['id']}/replay"
    answer = program.post(url, {"url": receiver.url("/there")}, status=200)
    assert (answer["status"], answer["error"]) == (200, None)
    [request] = receiver.requests
    assert (request.method, request.path, request.body) == ("POST", "/there", b'{"x": 1}')
    [entry] = program.get("/audit?action=replayed")["audit"]
    assert (entry["object_id"], entry["detail"]) == (row["id"], "to 127.0.0.1")
    assert list(program.refused("POST", url, {"url": "ftp://x"})) == ["url"]


def test_it_is_emptied_and_deleted(program: ApiClient, held: str) -> None:
    [row] = program.get(f"{held}/requests")["requests"]
    other = program.post("/bins", {})["id"]
    program.get(f"/bins/{other}/requests/{row['id']}", 404)
    program.delete(f"{held}/requests")
    assert program.get(f"{held}/requests")["requests"] == []
    program.delete(held)
    program.get(held, 404)
    program.get(f"/bins/{NOBODY}/requests", 404)

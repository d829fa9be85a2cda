"""The inbox by the API: look through it, see one, work through it again."""

from datetime import timedelta

import pytest
from flask import Flask

from guestbook.lib import clock
from guestbook.lib.verification import verify_signature
from guestbook.storage.models import InboundEvent
from tests.support import factories
from tests.support.api_client import NOBODY, ApiClient


@pytest.fixture
def rows(app: Flask) -> dict[str, str]:
    """Four inbound events of two sources."""
    with app.app_context():
        one, two = factories.source(), factories.source()
        return {
            "first": factories.inbound(
                one, status="processed", note="Logged.", event="push", sender="octocat"
            ),
            "second": factories.inbound(one, status="failed", error="The body is not UTF-8."),
            "third": factories.inbound(two, status="failed"),
            "fourth": factories.inbound(two),
            "one": one,
            "two": two,
        }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "fourth third second first"),
        ("status=failed", "third second"),
        ("status=new", "fourth"),
        ("source=one", "second first"),
        ("source=one&status=processed", "first"),
        (f"source={NOBODY}", ""),
        ("before=third", "second first"),
    ],
)
def test_they_are_found_by_what_they_are(
    program: ApiClient, rows: dict[str, str], query: str, names: str
) -> None:
    for name, row_id in rows.items():
        query = query.replace(f"={name}", f"={row_id}")
    found = program.get(f"/inbox?{query}")
    assert [row["id"] for row in found["inbound_events"]] == [rows[name] for name in names.split()]
    assert found["next"] is None


def test_pages_keep_to_what_was_asked(program: ApiClient, rows: dict[str, str]) -> None:
    page = program.get("/inbox?limit=1&status=failed")
    assert [row["id"] for row in page["inbound_events"]] == [rows["third"]]
    following = program.get(page["next"])
    assert [row["id"] for row in following["inbound_events"]] == [rows["second"]]
    assert following["next"] is None


@pytest.mark.parametrize("query", ["status=sent", "source=1", "limit=1000", "before=%00", "text="])
def test_a_query_that_is_wrong_is_refused_by_name(program: ApiClient, query: str) -> None:
    assert list(program.refused("GET", f"/inbox?{query}")) == [query.partition("=")[0]]


def test_a_list_has_no_payloads_and_one_has_all(program: ApiClient, rows: dict[str, str]) -> None:
    listed = program.get("/inbox")["inbound_events"][-1]
    assert not {"payload", "headers"} & set(listed)
    assert (listed["event"], listed["sender"], listed["note"]) == ("push", "octocat", "Logged.")
    shown = program.get(f"/inbox/{rows['first']}")
    assert (shown["payload"], shown["encoding"]) == ("{}", "text")
    assert shown["headers"] == {"content-type": "application/json"}
    assert shown["verification"]["ok"] is True
    assert shown | listed == shown


def test_bytes_come_in_base64_and_secrets_do_not_come(app: Flask, program: ApiClient) -> None:
    with app.app_context():
        proof = verify_signature.proof("another", factories.settings().secret_key)
        source = factories.source(verify="token", header="X-Api-Key", secret="opensesame")
        key = factories.inbound(source, payload="/wAB", encoding="base64", headers={"x-api-key": proof})
    shown = program.get(f"/inbox/{key}")
    assert (shown["payload"], shown["encoding"]) == ("/wAB", "base64")
    assert shown["headers"] == {"x-api-key": "(hidden)"}
    assert shown["verification"]["sentence"] == "The token in X-Api-Key is not this source's."
    assert {"name": "Header", "value": "X-Api-Key"} in shown["verification"]["steps"]
    assert "opensesame" not in str(shown)


def test_what_failed_is_worked_through_again(app: Flask, program: ApiClient, rows: dict[str, str]) -> None:
    second = program.post(f"/inbox/{rows['second']}/reprocess", status=202)
    assert (second["status"], second["error"], second["processed_at"]) == ("new", None, None)
    with app.app_context():
        factories.run_pass()
    seen = program.get(f"/inbox/{rows['second']}")
    assert (seen["status"], seen["note"], seen["due_at"]) == ("processed", "Logged.", None)


def test_one_that_a_pass_has_in_hand_is_left_alone(app: Flask, program: ApiClient) -> None:
    soon = clock.now() + timedelta(seconds=30)
    with app.app_context():
        row_id = factories.inbound(factories.source(), claimed_by="a pass", due_at=soon, claims=1)
        answer = program.ask("POST", f"/inbox/{row_id}/reprocess")
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "conflict")
        assert factories.the(InboundEvent, row_id).claimed_by == "a pass"


def test_an_id_of_nobody_is_not_found(program: ApiClient) -> None:
    for row_id in (NOBODY, "x", "%00"):
        program.get(f"/inbox/{row_id}", 404)
        program.post(f"/inbox/{row_id}/reprocess", status=404)

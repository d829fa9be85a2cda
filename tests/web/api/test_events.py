"""/events: everybody may read which events there are, with schemas that need no other document."""

import json

import pytest
from flask import Flask
from jsonschema import Draft202012Validator

from guestbook.outbound.event_catalogue import EVENTS
from tests.support.api_client import ApiClient


def test_the_list_has_each_event_with_its_schema_and_an_example_that_fits(anybody: ApiClient) -> None:
    listed = anybody.get("/events")["events"]
    assert [one["name"] for one in listed] == list(EVENTS)
    for one in listed:
        assert one["example"]["type"] == one["name"]
        assert one["schema"]["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        Draft202012Validator.check_schema(one["schema"])
        assert list(Draft202012Validator(one["schema"]).iter_errors(one["example"])) == []
        assert "$ref" not in json.dumps(one["schema"])


@pytest.mark.parametrize("name", EVENTS)
def test_one_is_what_the_list_has(anybody: ApiClient, name: str) -> None:
    found = anybody.get(f"/events/{name}")
    assert found == next(one for one in anybody.get("/events")["events"] if one["name"] == name)
    assert found["when"] == EVENTS[name].when


def test_a_schema_tells_required_fields_from_others(anybody: ApiClient) -> None:
    data = anybody.get("/events/comment.created")["schema"]["properties"]["data"]
    assert data["required"] == ["comment", "sequence", "guestbook"]
    assert "moderation" in data["properties"]


@pytest.mark.parametrize("name", ["comment.updated", "COMMENT.CREATED", "x" * 5000, "%00", "é", "ping%0A"])
def test_there_is_no_other(anybody: ApiClient, name: str) -> None:
    error = anybody.get(f"/events/{name}", status=404)["error"]
    assert error["code"] == "not_found"
    assert error["message"].startswith("There is no such event. The events are comment.created, comment.")


def test_a_token_is_not_needed_and_does_not_matter(app: Flask, program: ApiClient) -> None:
    assert program.get("/events") == ApiClient(app).get("/events") == ApiClient(app, "wrong").get("/events")


def test_any_website_may_read_them_and_what_is_known_is_not_sent_again(anybody: ApiClient) -> None:
    first = anybody.ask("GET", "/events")
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    again = anybody.ask("GET", "/events", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_they_are_only_read(anybody: ApiClient) -> None:
    for path in ("/events", "/events/ping"):
        assert anybody.ask("POST", path, {}).status_code == 405

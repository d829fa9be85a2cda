"""/events: everybody may read which events there are, with schemas that need no other document."""

import json

import pytest
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


@pytest.mark.parametrize("name", ["comment.updated", "COMMENT.CREATED", "x" * 5000, "%00", "é", "ping%0A"])
def test_there_is_no_other(anybody: ApiClient, name: str) -> None:
    error = anybody.get(f"/events/{name}", status=404)["error"]
    assert error["code"] == "not_found"
    assert error["message"].startswith("There is no such event. The events are comment.created, comment.")

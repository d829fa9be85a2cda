"""The document says what the API does: no address more, none less, and each in the words of JSON Schema."""

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker

from guestbook.outbound.event_catalogue import EVENTS
from guestbook.web.api import api_call, openapi, queue, request_reader
from guestbook.web.api.openapi import CALLS, SCHEMAS
from tests.support import factories
from tests.support.api_client import ApiClient
from tests.support.receiver import Receiver

INNER = ("items", "propertyNames", "additionalProperties")
CONDITIONS = ("if", "then", "else")  # Views check which fields go together.
METHODS = {"get", "post", "put", "patch", "delete"}
REQUEST_BODIES = {call.body: SCHEMAS[call.body] for call in CALLS.values() if call.body}


@pytest.fixture
def read(anybody: ApiClient) -> dict[str, Any]:
    return anybody.get("/openapi.json")


def test_every_address_is_in_the_document_and_the_other_way_round(app: Flask, read: dict[str, Any]) -> None:
    served = {
        (re.sub("<(.*?)>", r"{\1}", rule.rule.removeprefix(api_call.API_PATH)), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {(path, method) for path, item in read["paths"].items() for method in METHODS & set(item)}
    assert served == documented


def test_the_section_of_webhooks_has_each_event_with_its_schema_and_an_example(read: dict[str, Any]) -> None:
    assert list(read["webhooks"]) == list(EVENTS)
    schemas_of_all = read["components"]["schemas"]
    for name, item in read["webhooks"].items():
        content = item["post"]["requestBody"]["content"]["application/json"]
        schema = schemas_of_all[content["schema"]["$ref"].rpartition("/")[2]]
        assert schema["properties"]["type"]["const"] == name
        whole = {**schema, "components": read["components"]}
        assert list(Draft202012Validator(whole).iter_errors(content["example"])) == []
        assert list(Draft202012Validator(whole).iter_errors({**content["example"], "data": {}}))


def test_the_headers_of_webhooks_are_those_that_are_sent(read: dict[str, Any], receiver: Receiver) -> None:
    factories.webhook(receiver.url("/"))
    factories.sign()
    factories.run_pass()
    [request] = receiver.requests
    named = {one["name"].lower() for one in read["components"]["parameters"].values()}
    ours = {name for name in request.headers if name.startswith(("webhook-", "x-"))}
    assert named == ours


def test_each_operation_has_a_name_and_a_tag_and_is_described(read: dict[str, Any]) -> None:
    operations = [item[method] for item in read["paths"].values() for method in METHODS & set(item)]
    sent = [item["post"] for item in read["webhooks"].values()]
    names = [one["operationId"] for one in (*operations, *sent)]
    assert len(set(names)) == len(names)
    assert "onCommentCreated" in names
    assert all(re.fullmatch("[a-z]+[A-Za-z]*", name) for name in names)
    assert {tag for one in sent for tag in one["tags"]} == {"events"}
    assert {tag for one in operations for tag in one["tags"]} == {tag["name"] for tag in read["tags"]}
    for one in operations:
        assert one["summary"]
        assert "401" in one["responses"] or one["security"] == []
        assert one["description"].endswith(".")
    in_paths = [one for item in read["paths"].values() for one in item.get("parameters", ())]
    for parameter in (*in_paths, *(part for one in operations for part in one.get("parameters", ()))):
        assert parameter["description"].endswith("."), parameter


def test_an_answer_that_makes_something_links_to_what_can_be_done_with_it(read: dict[str, Any]) -> None:
    linked = {
        item["post"]["operationId"]: set(answer["links"])
        for item in read["paths"].values()
        for answer in item.get("post", {}).get("responses", {}).values()
        if "links" in answer
    }
    assert {"getWebhook", "updateWebhook", "deleteWebhook", "testWebhook"} <= linked["createWebhook"]
    assert {"getComment", "deleteComment"} <= linked["createComment"]
    assert linked["testWebhook"] == {"getDelivery", "redeliver"}
    assert linked["createBin"] == {"getBin", "updateBin", "deleteBin", "listBinRequests", "clearBin"}


def test_it_names_the_address_that_the_settings_name(read: dict[str, Any]) -> None:
    assert read["servers"] == [{"url": "https://book.example/api/v1"}]


def test_each_schema_is_one_and_each_reference_leads_somewhere(read: dict[str, Any]) -> None:
    for schema in read["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for found in re.findall(r"#/components/schemas/(\w+)", str(read)):
        assert found in read["components"]["schemas"]


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema, and all that stand in it."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *map(schema.get, INNER)]
    for one in inner:
        if isinstance(one, dict):
            yield from parts(one)


def request_schemas() -> list[dict[str, Any]]:
    """All schemas of what is asked, in bodies and in queries."""
    queries = [
        one["schema"]
        for path in openapi.paths().values()
        for one in path.get("get", {}).get("parameters", [])
    ]
    return [part for schema in [*REQUEST_BODIES.values(), *queries] for part in parts(schema)]


def test_every_pattern_has_a_sentence() -> None:
    wanted = {part["pattern"] for part in request_schemas() if "pattern" in part}
    assert wanted == {*request_reader.PATTERN_ERRORS, *request_reader.LEFT_TO_VIEWS}


def test_patterns_are_read_by_engines_that_count_no_steps() -> None:
    for pattern in (*request_reader.PATTERN_ERRORS, *request_reader.LEFT_TO_VIEWS):
        assert "(" not in pattern  # RE2 looks neither ahead nor back, and nothing is repeated twice
        assert pattern.isascii()


def test_the_document_is_text_that_every_tool_reads(anybody: ApiClient) -> None:
    said = anybody.ask("GET", "/openapi.json").text
    assert not re.search(r"\\u[dD][89a-fA-F]", said)
    assert json.loads(said.encode()) == json.loads(said)


def test_answers_may_get_new_fields_and_requests_are_closed() -> None:
    shown = [part for name, schema in SCHEMAS.items() if name not in REQUEST_BODIES for part in parts(schema)]
    assert not [part for part in shown if part.get("additionalProperties") is False]
    assert all(schema["additionalProperties"] is False for schema in REQUEST_BODIES.values())


def test_whatever_may_be_long_in_a_request_has_a_limit() -> None:
    for part in request_schemas():
        kinds = part.get("type", ())
        if "string" in kinds:
            assert {"maxLength", "enum", "pattern", "format"} & set(part), part
        if kinds == "array":
            assert part["maxItems"] <= queue.MOST_REQUEUED, part
        if kinds == "object":
            assert part["additionalProperties"] is False or part["maxProperties"] <= 100, part


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("NewComment", {"name": "\u00a0", "message": "Hello"}),
        ("NewComment", {"name": "Ada", "message": "\t "}),
        ("SettingChanges", {"title": " "}),
        ("NewSource", {"name": " "}),
        ("BinChanges", {"name": " "}),
        ("NewWebhook", {"url": "https://receiver.example/", "signing_key": "any text"}),
        ("Redelivery", {"failed": False, "since": "2026-01-31T23:59:59Z"}),
        ("Redelivery", {"ids": ["0" * 32], "webhook": "0" * 32}),
        ("Reprocessing", {"dry_run": True}),
    ],
)
def test_document_and_api_refuse_the_same(program: ApiClient, name: str, body: dict[str, object]) -> None:
    assert list(Draft202012Validator(REQUEST_BODIES[name]).iter_errors(body))
    place = {"NewComment": "/comments", "SettingChanges": "/settings", "NewSource": "/sources"}
    place |= {"NewWebhook": "/webhooks", "Redelivery": "/redeliver", "Reprocessing": "/reprocess"}
    path = place.get(name) or f"/bins/{program.post('/bins', {})['id']}"
    fields = program.refused("PATCH" if "Changes" in name else "POST", path, body)
    assert all("does not match" not in sentence for sentence in fields.values())


def test_every_rule_has_a_sentence() -> None:
    ours = {"type", "enum", "pattern", "required", "properties", *INNER}
    silent = {"description", "examples", "default"}
    rules = {rule for part in request_schemas() for rule in part}
    assert rules == {*ours, *silent, *request_reader.SCHEMA_ERRORS, *CONDITIONS}


def test_bodies_are_checked_as_json_schema_says() -> None:
    junk: list[Any] = [None, True, 0, -1, 1.5, 10**9, "x", "0" * 32, "x" * 30_000, [], ["a", "a"]]
    junk += [["0" * 32] * 600, [{"id": "0" * 32, "ok": 1}], {}, {"a": "b"}, {"a b": "c"}, {"hash": 1}]
    for name, schema in REQUEST_BODIES.items():
        alone = {rule: part for rule, part in schema.items() if rule not in CONDITIONS}
        validator = Draft202012Validator(alone, format_checker=FormatChecker(("date-time",)))
        for field, value in itertools.product(schema["properties"], junk):
            body = {field: value}
            found = [*request_reader._faults(body, schema, ())]
            assert bool(found) is not validator.is_valid(body), (name, body)


def test_commands_start_without_what_only_the_api_or_the_server_needs() -> None:
    code = "import sys, guestbook; print({'jsonschema', 'waitress'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert done.stdout == "set()\n"

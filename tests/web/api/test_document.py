"""The document says what the API does: no address more, none less, and each in the words of JSON Schema."""

import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator

from guestbook import draft, text
from guestbook.web.api import asked, document, patterns, schemas
from tests.web.api.program import Program

INNER = ("items", "propertyNames", "additionalProperties")
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def read(anybody: Program) -> dict[str, Any]:
    found: dict[str, Any] = anybody.get("/openapi.json")
    return found


def test_every_address_is_in_the_document_and_the_other_way_round(app: Flask, read: dict[str, Any]) -> None:
    served = {
        (re.sub("<(.*?)>", r"{\1}", rule.rule.removeprefix(document.PLACE)), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    told = {(path, method) for path, item in read["paths"].items() for method in METHODS & set(item)}
    assert served == told


def test_it_names_the_address_that_the_settings_name(read: dict[str, Any]) -> None:
    assert read["servers"] == [{"url": "https://book.example/api/v1"}]


def test_each_schema_is_one_and_each_reference_leads_somewhere(read: dict[str, Any]) -> None:
    for schema in read["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for found in re.findall(r"#/components/schemas/(\w+)", str(read)):
        assert found in read["components"]["schemas"]


def test_every_operation_has_a_summary_and_says_who_may(read: dict[str, Any]) -> None:
    for item in read["paths"].values():
        for method in METHODS & set(item):
            assert item[method]["summary"]
            assert "401" in item[method]["responses"] or item[method]["security"] == []


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema, and all that stand in it."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *map(schema.get, INNER)]
    for one in inner:
        if isinstance(one, dict):
            yield from parts(one)


def asked_for() -> list[dict[str, Any]]:
    """All schemas of what is asked, in bodies and in queries."""
    queries = [
        one["schema"] for path in document.PATHS.values() for one in path.get("get", {}).get("parameters", [])
    ]
    return [part for schema in [*schemas.REQUESTS.values(), *queries] for part in parts(schema)]


def test_every_pattern_has_a_sentence() -> None:
    wanted = {part["pattern"] for part in asked_for() if "pattern" in part}
    assert len(wanted) == 5
    assert all(patterns.reason(pattern, "x").endswith(".") for pattern in wanted)


def test_every_rule_has_a_sentence() -> None:
    ours = {"type", "enum", "pattern", "required", "properties", *INNER}
    silent = {"description", "examples", "default"}
    assert {rule for part in asked_for() for rule in part} == ours | silent | set(asked.SENTENCES)


def test_letters_of_a_website_are_letters_that_the_form_takes() -> None:
    letters = [chr(number) for number in range(0x10000) if re.fullmatch(patterns.LETTER, chr(number))]
    assert len(letters) > 30_000
    assert [one for one in letters if draft.website_error(f"https://{one}.example")] == []
    assert [one for one in letters if text.clean_line(one) != one] == []


def test_what_counts_as_seen_is_seen_by_the_book_too() -> None:
    looked_at = map(chr, (*range(0x10000), *range(0xE0000, 0xE1000)))
    unseen = [one for one in looked_at if not re.search(patterns.VISIBLE, one)]
    assert len(unseen) > 4_000
    assert [one for one in unseen if text.clean_line(one) and unicodedata.category(one) != "Cn"] == []


def test_commands_start_without_the_library_that_reads_requests() -> None:
    code = "import sys, guestbook; sys.exit('jsonschema' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0

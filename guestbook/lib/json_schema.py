"""JSON Schemas (draft 2020-12): helpers to write them, and to list the fields that one describes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from guestbook.lib import clock
from guestbook.lib.fields import VISIBLE

Schema = dict[str, Any]

JSON = "application/json"
JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID_PATTERN = "^[0-9a-f]{32}$"
TEXT: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {**INTEGER, "minimum": 0}
ID: Schema = {"type": "string", "pattern": ID_PATTERN}
URL: Schema = {"type": "string", "format": "uri"}
TIME: Schema = {"type": "string", "format": "date-time", "examples": ["2026-01-31T23:59:59.123Z"]}
HEADERS: Schema = {"type": "object", "additionalProperties": TEXT}
TYPE_NAMES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
FORMAT_NAMES = {"date-time": "a time", "uri": "a URL"}


class SchemaField(NamedTuple):
    """A field somewhere in an object."""

    path: str  # such as `data.comment.id`; `data.list[]` stands for each item of a list
    schema: Schema
    is_required: bool


def described(schema: Schema, description: str = "", **more: object) -> Schema:
    """Return the schema with a description and other keywords."""
    return {**schema, **more, **({"description": description} if description else {})}


def or_null(schema: Schema) -> Schema:
    """Return the schema of the same or null."""
    return {**schema, "type": [schema["type"], "null"]}


# Each takes a description and other keywords.
text, url, time, id_ = (partial(described, schema) for schema in (TEXT, URL, TIME, ID))
integer, number, boolean = (partial(described, schema) for schema in (INTEGER, NUMBER, BOOLEAN))
headers = partial(described, HEADERS)
text_or_null, time_or_null, id_or_null = (partial(described, or_null(schema)) for schema in (TEXT, TIME, ID))


def array(items: Schema, description: str = "", **more: object) -> Schema:
    """Return the schema of a list."""
    return described({"type": "array", "items": items}, description, **more)


def one_of(*values: str, **more: object) -> Schema:
    """Return the schema of a string that is one of those."""
    return {"type": "string", "enum": list(values), **more}


def line(limit: int) -> Schema:
    """Return the schema of a text that is not blank."""
    return text(minLength=1, maxLength=limit, pattern=VISIBLE)


def answer(properties: Schema | None = None, *, optional: Sequence[str] = (), **more: Schema) -> Schema:
    """Return the schema of an object that we write; all properties but the optional ones are present.

    It allows other properties, so that programs accept fields of later versions.
    """
    known = {**(properties or {}), **more}
    return {"type": "object", "properties": known, "required": [one for one in known if one not in optional]}


def request(
    properties: Schema | None = None, *, required: Sequence[str] = (), least: int = 0, **more: Schema
) -> Schema:
    """Return the schema of an object in a request, with no other properties and at least so many."""
    shape: Schema = {"type": "object", "properties": {**(properties or {}), **more}}
    shape |= {"additionalProperties": False, **({"minProperties": least} if least else {})}
    return {**shape, "required": list(required)} if required else shape


def ref(name: str) -> Schema:
    """Return a reference to the schema of that name in an OpenAPI document."""
    return {"$ref": f"#/components/schemas/{name}"}


def fields(schema: Schema, place: str = "") -> Iterator[SchemaField]:
    """Give each field of an object, followed by those within it."""
    required = schema.get("required", ())
    for name, below in schema.get("properties", {}).items():
        yield SchemaField(place + name, below, name in required)
        yield from fields(below, f"{place}{name}.")
        if items := below.get("items"):
            yield SchemaField(f"{place}{name}[]", items, True)
            yield from fields(items, f"{place}{name}[].")


def types(schema: Schema) -> list[str]:
    """Return the names of the types that a value may have; none if it may be anything."""
    found = schema.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def in_words(schema: Schema) -> str:
    """Return what a value is, such as `text or null`."""
    if "const" in schema:
        return f"always {schema['const']}"
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    names = [FORMAT_NAMES.get(schema.get("format", ""), "text") if one == "string" else TYPE_NAMES[one]
             for one in types(schema)]  # fmt: skip
    return " or ".join(names) or "anything"


def of_row(row: object, properties: Iterable[str], more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the attributes with these names; `more` has those that are no plain columns."""
    given = more or {}
    values = {name: given[name] if name in given else getattr(row, name) for name in properties}
    return {name: clock.to_text(one) if isinstance(one, datetime) else one for name, one in values.items()}

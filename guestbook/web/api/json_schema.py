"""Helpers to write JSON Schemas."""

from typing import Any

Schema = dict[str, Any]


def one_of(*values: str, **more: object) -> Schema:
    """Return the schema of a string that is one of those."""
    return {"type": "string", "enum": list(values), **more}


def or_null(schema: Schema) -> Schema:
    """Return the schema of the same or null."""
    return {**schema, "type": [schema["type"], "null"]}


def described(schema: Schema, description: str) -> Schema:
    """Return the schema with a description."""
    return {**schema, "description": description}


def answer(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object in an answer; all properties but the optional ones are present.

    It allows other properties, so that programs accept fields of later versions.
    """
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def request(properties: Schema, *, required: tuple[str, ...] = (), **more: object) -> Schema:
    """Return the schema of an object in a request, with no other properties."""
    shape: Schema = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    return {**shape, "required": list(required)} if required else shape


def ref(name: str) -> Schema:
    """Return a reference to the schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}

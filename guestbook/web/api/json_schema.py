"""JSON Schema in short: what the shapes of the API are written with."""

from typing import Any

Schema = dict[str, Any]


def one_of(*values: str, **more: object) -> Schema:
    """Return the schema of a text that is one of those."""
    return {"type": "string", "enum": list(values), **more}


def or_null(schema: Schema) -> Schema:
    """Return the schema of the same or null."""
    return {**schema, "type": [schema["type"], "null"]}


def answer(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object with those properties, all there but the optional ones.

    It may get more: a later version of the book adds fields, and no program is to fail by them.
    """
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def request(properties: Schema, *, required: tuple[str, ...] = (), **more: object) -> Schema:
    """Return the schema of an object with some of those properties."""
    shape: Schema = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    return {**shape, "required": list(required)} if required else shape


def ref(name: str) -> Schema:
    """Return a reference to the schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}

"""Comments as JSON lines: one object a line, https://jsonlines.org."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from guestbook.comments.exchange.file_row import FIELDS, LINE_LIMIT, NOT_UTF8, WHOLE_NUMBERS, FileRow, lines

# The objects inside the object: name → key in it → field.
INNER_OBJECTS = {
    "reply": {"message": "reply", "created_at": "reply_created_at"},
    "origin": {
        **{"name": "origin_name", "url": "origin_url", "told_at": "origin_told_at"},
        "source_id": "origin_source_id",
    },
}
INNER_FIELDS = {one for inner in INNER_OBJECTS.values() for one in inner.values()}


def line(fields: Mapping[str, str]) -> str:
    """Return the line of a comment."""
    document: dict[str, Any] = {name: fields[name] or None for name in FIELDS if name not in INNER_FIELDS}
    for name, inner in INNER_OBJECTS.items():
        values = {key: fields[one] or None for key, one in inner.items()}
        document[name] = values if any(values.values()) else None
    document |= {name: int(fields[name]) if fields[name] else None for name in WHOLE_NUMBERS}
    return json.dumps(document, ensure_ascii=False) + "\n"


def read(file: BinaryIO) -> Iterator[FileRow]:
    """Yield the comments of a file; other keys of its objects are ignored."""
    for number, text in enumerate(lines(file), 1):
        if text.strip():
            yield _row(f"Line {number}", text)


def _row(where: str, text: str) -> FileRow:
    if len(text) > LINE_LIMIT / 4 and len(text.encode(errors="surrogateescape")) > LINE_LIMIT:
        return FileRow(where, problem=f"it has more than {LINE_LIMIT:,} bytes")
    if NOT_UTF8.search(text):
        return FileRow(where, problem="it is not UTF-8")
    try:
        document = json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError):
        return FileRow(where, problem="it is not JSON")
    if not isinstance(document, dict):
        return FileRow(where, problem="it is not a JSON object")
    try:
        return FileRow(where, _fields(document))
    except TypeError as error:
        return FileRow(where, problem=str(error))


def _whole(digits: str) -> int:
    return int(digits[:20])  # one of more digits is too large in any case, and Python may refuse to read it


def _fields(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of an object; raises TypeError with a sentence."""
    fields = {name: _text(document, name) for name in FIELDS if name not in INNER_FIELDS}
    for name, inner in INNER_OBJECTS.items():
        nested = document.get(name) or {}
        if not isinstance(nested, dict):
            raise TypeError(f"its {name} is not an object")
        fields |= {one: _text(nested, key) for key, one in inner.items()}
    return fields


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if name in WHOLE_NUMBERS and type(value) is int:
        return str(value)
    if not isinstance(value, str | None):
        raise TypeError(f"its {name} is not text")
    return value or ""

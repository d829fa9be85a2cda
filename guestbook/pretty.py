"""Bytes that anybody may have sent, as people read them: JSON, a form, text, hex. Pure."""

import json
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

SHOWN = 50_000  # characters on a page; who wants more saves the bytes
HEX_LIMIT = 4096  # bytes of what is no text
MOST_FIELDS = 1000  # of a form
FORM = "application/x-www-form-urlencoded"
ROW = 16  # bytes in a line of hex

Kind = Literal["JSON", "form", "text", "hex"]


@dataclass(frozen=True, slots=True)
class View:
    """What a page shows of some bytes; the text is foreign, and may hold what hides or reorders."""

    kind: Kind
    text: str
    is_whole: bool  # or it was cut


def view(body: bytes, content_type: str = "") -> View:
    """Return the bytes as they are read best: by what they are, where they do not keep to what they say."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return View("hex", hex_dump(body), len(body) <= HEX_LIMIT)
    lines = _structure(text)
    if lines is not None:
        return _cut("JSON", lines)
    fields = _fields(text) if content_type.partition(";")[0].strip().lower() == FORM else None
    if fields is not None:
        return _cut("form", fields)
    return _cut("text", text)


def hex_dump(body: bytes) -> str:
    """Return offset, bytes and letters of the first 4,096 bytes, 16 a line, as `hexdump -C` does."""
    shown = body[:HEX_LIMIT]
    return "\n".join(_row(offset, shown[offset : offset + ROW]) for offset in range(0, len(shown), ROW))


def in_lines(text: str) -> str | None:
    """Return JSON with its lines indented, and None for what is none."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):  # ValueError for a number of thousands of digits, too
        return None


def _structure(text: str) -> str | None:
    """Leave alone what is JSON by chance, such as a number."""
    return in_lines(text) if text.lstrip()[:1] in ("{", "[") else None


def _fields(text: str) -> str | None:
    try:
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        return None
    return "\n".join(f"{name}: {_structure(value) or value}" for name, value in fields) if fields else None


def _row(offset: int, row: bytes) -> str:
    letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
    return f"{offset:04x}  {row[:8].hex(' '):23}  {row[8:].hex(' '):23}  {letters}"


def _cut(kind: Kind, text: str) -> View:
    return View(kind, text[:SHOWN], len(text) <= SHOWN)

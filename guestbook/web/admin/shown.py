"""A body that anybody may have sent, as the desk shows it: JSON, form fields, text and hex, all inert."""

import io
from dataclasses import dataclass
from urllib.parse import parse_qsl

from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from guestbook.pretty import hex_dump, in_lines

TEXT_LIMIT = 64 * 1024  # characters of JSON or text on a page
FIELDS_LIMIT = 200
VALUE_LIMIT = 2000  # characters
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Body:
    """The ways in which a body can be read; None for those in which it cannot."""

    json: str | None
    fields: list[tuple[str, str]] | None
    text: str | None
    hex: str


def body(content: bytes, content_type: str) -> Body:
    """Read it in each way that makes sense."""
    kind, options = parse_options_header(content_type)
    return Body(_json(content), _fields(content, kind.lower(), options), _text(content), hex_dump(content))


def _json(content: bytes) -> str | None:
    """Return JSON with its lines indented."""
    try:
        lines = in_lines(content.decode())
    except UnicodeDecodeError:
        return None
    return lines and lines[:TEXT_LIMIT]


def _text(content: bytes) -> str | None:
    """Return what is UTF-8, but for a character that the limit cut in two."""
    if b"\0" in content:
        return None
    try:
        return content.decode()[:TEXT_LIMIT]
    except UnicodeDecodeError as error:
        return (
            content[: error.start].decode()[:TEXT_LIMIT]
            if error.start > len(content) - 4 and error.start
            else None
        )


def _fields(content: bytes, kind: str, options: dict[str, str]) -> list[tuple[str, str]] | None:
    if kind == FORM:
        pairs = parse_qsl(content.decode(errors="replace"), keep_blank_values=True)[:FIELDS_LIMIT]
        return [(name[:VALUE_LIMIT], value[:VALUE_LIMIT]) for name, value in pairs]
    if kind == MULTIPART:
        return _parts(content, options)
    return None


def _parts(content: bytes, options: dict[str, str]) -> list[tuple[str, str]] | None:
    """Return the fields of a multipart body; of files the name and the size."""
    parser = FormDataParser(max_form_parts=FIELDS_LIMIT, silent=False)
    try:
        _, form, files = parser.parse(io.BytesIO(content), MULTIPART, len(content), options)
    except (ValueError, HTTPException):
        return None
    fields = [(name, value[:VALUE_LIMIT]) for name, value in form.items(multi=True)]
    for name, file in files.items(multi=True):
        fields.append((name, f"file {file.filename}, {len(file.read()):,} bytes"))
        file.close()
    return fields

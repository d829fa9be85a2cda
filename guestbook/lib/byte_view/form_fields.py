"""The fields of a form, one a line, up to a limit. Pure."""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_plus

from werkzeug.http import parse_options_header

from guestbook.lib import multipart_form
from guestbook.lib.byte_view.indented_json import Beginning, indented
from guestbook.lib.multipart_form import MULTIPART, Part

URLENCODED = "application/x-www-form-urlencoded"
MOST_PARTS = 200
PAIR = re.compile("[^&]+")

Pairs = Iterable[tuple[str, str]]


def fields(body: bytes, text: str | None, content_type: str, limit: int, *, is_cut: bool) -> Beginning | None:
    """Return at most so many characters of `name: value`; None if it is not a form or has no field.

    `text` is the body if it is UTF-8. Files in a form need not be.
    """
    kind, options = parse_options_header(content_type)
    if kind.lower() == URLENCODED and text is not None:
        return _lines(_urlencoded(text), limit, is_cut)
    if kind.lower() == MULTIPART and not is_cut:  # only readable with its end
        return _lines(_multipart(body, options.get("boundary", "")), limit, is_cut)
    return None


def _lines(pairs: Pairs, limit: int, is_cut: bool) -> Beginning | None:
    lines: list[str] = []
    size = -1  # there is no line feed before the first
    for name, value in pairs:
        room = limit - size
        if room < 0:
            break
        structured = indented(value, room)
        lines.append(f"{name}: {structured.text if structured else value}")
        size += len(lines[-1]) + 1
    return Beginning("\n".join(lines)[:limit], not is_cut and size <= limit) if lines else None


def _urlencoded(text: str) -> Iterator[tuple[str, str]]:
    for pair in PAIR.finditer(text):
        name, _, value = pair[0].partition("=")
        yield unquote_plus(name), unquote_plus(value)


def _multipart(body: bytes, boundary: str) -> Pairs:
    """Return the fields; for files the name and the size."""
    try:
        parts = multipart_form.parts(body, boundary, MOST_PARTS)
    except ValueError:
        return []
    return [(part.name, part.text if part.filename is None else _file(part)) for part in parts]


def _file(part: Part) -> str:
    return f"file {part.filename}, {len(part.content):,} bytes"

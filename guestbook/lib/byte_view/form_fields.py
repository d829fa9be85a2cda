"""The fields of a form, one a line, up to a limit. Pure."""

import io
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_plus

from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from guestbook.lib.byte_view.indented_json import Beginning, indented

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
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
        return _lines(_multipart(body, options), limit, is_cut)
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


def _multipart(body: bytes, options: dict[str, str]) -> Pairs:
    """Return the fields; for files the name and the size."""
    parser = FormDataParser(max_form_parts=MOST_PARTS, silent=False)
    try:
        _, form, files = parser.parse(io.BytesIO(body), MULTIPART, len(body), options)
    except (ValueError, HTTPException):
        return []
    pairs = list(form.items(multi=True))
    for name, file in files.items(multi=True):
        pairs.append((name, f"file {file.filename}, {len(file.read()):,} bytes"))
        file.close()
    return pairs

"""Show bytes from strangers as people read them: JSON, a form, text, hex. Pure."""

import codecs
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Literal, NamedTuple
from urllib.parse import unquote_plus

from werkzeug.http import parse_options_header

from guestbook.lib import body_encoding
from guestbook.lib.body_encoding import MULTIPART, Part

JSON_INDENT = "  "
OPENERS, CLOSERS = ("[", "{"), ("]", "}")
WHITE = " \t\n\r"
TOKEN = re.compile(r'"(?:[^"\\]+|\\.)*"?|[][{},:]|[^][{},:"\s]+', re.DOTALL)
# The last two words are not JSON, but many programs write them.
PLAIN_VALUE = re.compile(
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null|NaN|-?Infinity"
)


Beginning = tuple[str, bool]  # The shown part of a body, and whether it is the whole.


def indented(text: str, limit: int, *, is_cut: bool = False) -> Beginning | None:
    """Return at most so many characters of a list or an object in lines; None for other texts.

    Numbers, and names that are there twice, stay as they are. Of a text that was cut before (`is_cut`), the
    words decide whether it is JSON.
    """
    if text.lstrip(WHITE)[:1] not in OPENERS or not (is_cut or _is_json(text)):
        return None
    pieces: list[str] = []
    size, depth, last = 0, 0, ""
    for found in TOKEN.finditer(text):
        token = found[0]
        depth -= token in CLOSERS
        if last == "," or (last in OPENERS) != (token in CLOSERS):
            pieces.append("\n" + JSON_INDENT * depth)
            size += len(pieces[-1])
        elif last == ":":
            pieces.append(" ")
            size += 1
        depth += token in OPENERS
        if (piece := _written(token, found.end() == len(text))) is None:
            return None
        pieces.append(piece)
        size, last = size + len(piece), token
        if size > limit:
            break
    return "".join(pieces)[:limit], not is_cut and size <= limit


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=float)  # int() refuses a number of thousands of digits
    except (ValueError, RecursionError):
        return False
    return True


def _written(token: str, is_last: bool) -> str | None:
    """Return a token with its letters instead of their escapes; None for what is not JSON.

    One that was cut stays as it is.
    """
    if token[0] != '"':
        is_right = is_last or token in "[]{},:" or PLAIN_VALUE.fullmatch(token)
        return token if is_right else None
    try:
        return json.dumps(json.loads(token), ensure_ascii=False)
    except ValueError:
        return token if is_last else None


URLENCODED = "application/x-www-form-urlencoded"
MOST_PARTS = 200
PAIR = re.compile("[^&]+")


def form_fields(
    body: bytes, text: str | None, content_type: str, limit: int, *, is_cut: bool
) -> Beginning | None:
    """Return at most so many characters of `name: value`; None if it is not a form or has no field.

    `text` is the body if it is UTF-8. Files in a form need not be.
    """
    kind, options = parse_options_header(content_type)
    if kind.lower() == URLENCODED and text is not None:
        pairs = (pair[0].partition("=") for pair in PAIR.finditer(text))
        fields = ((unquote_plus(name), unquote_plus(value)) for name, _, value in pairs)
        return _form_lines(fields, limit, is_cut)
    if kind.lower() == MULTIPART and not is_cut:  # only readable with its end
        with suppress(ValueError):
            parts = body_encoding.form_parts(body, options.get("boundary", ""), MOST_PARTS)
            return _form_lines(((part.name, _shown(part)) for part in parts), limit, is_cut)
    return None


def _form_lines(pairs: Iterable[tuple[str, str]], limit: int, is_cut: bool) -> Beginning | None:
    lines: list[str] = []
    size = -1  # there is no line feed before the first
    for name, value in pairs:
        room = limit - size
        if room < 0:
            break
        structured = indented(value, room)
        lines.append(f"{name}: {structured[0] if structured else value}")
        size += len(lines[-1]) + 1
    return ("\n".join(lines)[:limit], not is_cut and size <= limit) if lines else None


def _shown(part: Part) -> str:
    return part.text if part.filename is None else f"file {part.filename}, {len(part.content):,} bytes"


SHOWN_CHARACTERS = 50_000  # on a page; to read more, save the bytes
READ_BYTES = 6 * SHOWN_CHARACTERS  # JSON may write each character as \u0041
HEX_LIMIT = 4096  # bytes

Kind = Literal["JSON", "form", "text", "hex"]


class View(NamedTuple):
    """One way to read a body. The text is foreign and may hold invisible or reordering characters."""

    kind: Kind
    text: str
    is_whole: bool


def views(body: bytes, content_type: str = "", *, is_cut: bool = False) -> list[View]:
    """Return each way to read the bytes, the best first; `is_cut` if there were more."""
    found: list[View] = []
    read, is_all = body[:READ_BYTES], not is_cut and len(body) <= READ_BYTES
    text = _text(read, is_all)
    if text is not None and (structured := indented(text, SHOWN_CHARACTERS, is_cut=not is_all)):
        found.append(View("JSON", *structured))
    elif form := form_fields(read, text, content_type, SHOWN_CHARACTERS, is_cut=not is_all):
        found.append(View("form", *form))
    if text is not None and "\0" not in text:
        found.append(View("text", text[:SHOWN_CHARACTERS], is_all and len(text) <= SHOWN_CHARACTERS))
    return [*found, View("hex", hex_dump(body), not is_cut and len(body) <= HEX_LIMIT)]


def hex_dump(body: bytes) -> str:
    """Return offset, bytes and letters of the first 4,096 bytes, 16 a line, as `hexdump -C` does."""
    lines = []
    for offset in range(0, min(len(body), HEX_LIMIT), 16):
        row = body[offset : min(offset + 16, HEX_LIMIT)]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        lines.append(f"{offset:04x}  {row[:8].hex(' '):23}  {row[8:].hex(' '):23}  {letters}")
    return "\n".join(lines)


def _text(read: bytes, is_all: bool) -> str | None:
    """Return UTF-8 text or None; the cut may have split the last character."""
    try:
        return codecs.utf_8_decode(read, "strict", is_all)[0]
    except UnicodeDecodeError:
        return None

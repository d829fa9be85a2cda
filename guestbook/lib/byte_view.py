"""Show bytes from strangers as people read them: JSON, a form, text, hex. Pure."""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import unquote_plus

from werkzeug.http import parse_options_header

from guestbook.lib import body_encoding
from guestbook.lib.body_encoding import MULTIPART, Part

JSON_INDENT = "  "
WHITE = " \t\n\r"
SPACE = re.compile(f"[{WHITE}]*")
CLOSERS = {"[": "]", "{": "}"}
# The last two words are not JSON, but many programs write them.
PLAIN_VALUE = re.compile(
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null|NaN|-?Infinity"
)
BROKEN_WORD = 9  # characters, of -Infinity
BROKEN_ESCAPE = 6  # characters, of \ud83d
DECODER = json.JSONDecoder()

# What may come next.
FIRST_ELEMENT, ELEMENT, FIRST_NAME, NAME, COLON, VALUE, AFTER = range(7)
IN_LIST = (FIRST_ELEMENT, ELEMENT)
IN_OBJECT = (FIRST_NAME, NAME)


class Beginning(NamedTuple):
    """The shown part of a body."""

    text: str
    is_whole: bool


def indented(text: str, limit: int, *, is_cut: bool = False) -> Beginning | None:
    """Return at most so many characters of a list or an object in lines; None for other texts.

    The shown part of a longer text, or of one that was cut before (`is_cut`), decides whether it is JSON.
    """
    return _Writer(text, limit, is_cut).write() if text.lstrip(WHITE)[:1] in CLOSERS else None


class _NotJSON(Exception):
    pass


class _Writer:
    """Reads and writes one token at a time."""

    def __init__(self, text: str, limit: int, is_cut: bool) -> None:
        self.text, self.limit, self.is_cut = text, limit, is_cut
        self.at = 0  # position of reading
        self.next = VALUE
        self.closers: list[str] = []  # of open lists and objects, the innermost last
        self.pieces: list[str] = []
        self.size = 0  # characters written

    def write(self) -> Beginning | None:
        """Write until the limit or the end."""
        try:
            while self.size <= self.limit and not self._has_ended():
                TOKEN_STEPS.get(self.text[self.at], _Writer._plain)(self)
        except _NotJSON:
            if not self.is_cut or len(self.text) - self.at > BROKEN_WORD:
                return None
        is_whole = not self.is_cut and self.size <= self.limit
        return Beginning("".join(self.pieces)[: self.limit], is_whole)

    def _has_ended(self) -> bool:
        space = SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at
        if self.at < len(self.text):
            return False
        if self.next != AFTER or self.closers:
            self._require(self.is_cut)
        return True

    def _open(self) -> None:
        bracket = self.text[self.at]
        self._value(bracket, self.at + 1)
        self.closers.append(CLOSERS[bracket])
        self.next = FIRST_ELEMENT if bracket == "[" else FIRST_NAME

    def _close(self) -> None:
        bracket = self.text[self.at]
        self._require(self.closers[-1:] == [bracket] and self.next in (AFTER, FIRST_ELEMENT, FIRST_NAME))
        self.closers.pop()
        self._put(bracket if self.next != AFTER else self._new_line() + bracket, self.at + 1)
        self.next = AFTER

    def _comma(self) -> None:
        self._require(self.next == AFTER and bool(self.closers))
        self._put(",", self.at + 1)
        self.next = ELEMENT if self.closers[-1] == "]" else NAME

    def _colon(self) -> None:
        self._require(self.next == COLON)
        self._put(": ", self.at + 1)
        self.next = VALUE

    def _string(self) -> None:
        words, end = self._read_string()
        if self.next in IN_OBJECT:
            self._put(self._new_line() + words, end)
            self.next = COLON
        else:
            self._value(words, end)

    def _read_string(self) -> tuple[str, int]:
        """Return the string as it is written, and its end; of a cut one, the part that is there."""
        try:
            value, end = DECODER.raw_decode(self.text, self.at)
            return json.dumps(value, ensure_ascii=False), end
        except ValueError:
            self._require(self.is_cut)
        for less in range(BROKEN_ESCAPE):
            try:
                value = json.loads(self.text[self.at : len(self.text) - less] + '"')
            except ValueError:
                continue
            return json.dumps(value, ensure_ascii=False)[:-1], len(self.text)
        raise _NotJSON

    def _plain(self) -> None:
        found = PLAIN_VALUE.match(self.text, self.at)
        self._value(found[0] if found else "", found.end() if found else self.at)

    def _value(self, words: str, end: int) -> None:
        self._require(words != "" and self.next in (VALUE, *IN_LIST))
        self._put(self._new_line() + words if self.next in IN_LIST else words, end)
        self.next = AFTER

    def _new_line(self) -> str:
        """Return a line end and the indent of the next line."""
        return "\n" + JSON_INDENT * len(self.closers)

    def _put(self, words: str, end: int) -> None:
        self.pieces.append(words)
        self.size += len(words)
        self.at = end

    def _require(self, is_right: bool) -> None:
        if not is_right:
            raise _NotJSON


TOKEN_STEPS: dict[str, Callable[[_Writer], None]] = {
    "[": _Writer._open,
    "{": _Writer._open,
    "]": _Writer._close,
    "}": _Writer._close,
    ",": _Writer._comma,
    ":": _Writer._colon,
    '"': _Writer._string,
}


URLENCODED = "application/x-www-form-urlencoded"
MOST_PARTS = 200
PAIR = re.compile("[^&]+")

Pairs = Iterable[tuple[str, str]]


def form_fields(
    body: bytes, text: str | None, content_type: str, limit: int, *, is_cut: bool
) -> Beginning | None:
    """Return at most so many characters of `name: value`; None if it is not a form or has no field.

    `text` is the body if it is UTF-8. Files in a form need not be.
    """
    kind, options = parse_options_header(content_type)
    if kind.lower() == URLENCODED and text is not None:
        return _form_lines(_urlencoded(text), limit, is_cut)
    if kind.lower() == MULTIPART and not is_cut:  # only readable with its end
        return _form_lines(_multipart(body, options.get("boundary", "")), limit, is_cut)
    return None


def _form_lines(pairs: Pairs, limit: int, is_cut: bool) -> Beginning | None:
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
        parts = body_encoding.form_parts(body, boundary, MOST_PARTS)
    except ValueError:
        return []
    return [(part.name, part.text if part.filename is None else _file(part)) for part in parts]


def _file(part: Part) -> str:
    return f"file {part.filename}, {len(part.content):,} bytes"


SHOWN_CHARACTERS = 50_000  # on a page; to read more, save the bytes
READ_BYTES = 6 * SHOWN_CHARACTERS  # JSON may write each character as \u0041
HEX_LIMIT = 4096  # bytes
HEX_ROW = 16  # bytes in a line of hex

Kind = Literal["JSON", "form", "text", "hex"]


@dataclass(frozen=True, slots=True)
class View:
    """One way to read a body. The text is foreign and may hold invisible or reordering characters."""

    kind: Kind
    text: str
    is_whole: bool  # not cut


def view(body: bytes, content_type: str = "") -> View:
    """Return the best way to read the bytes: their content counts more than their content type."""
    return views(body, content_type)[0]


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
    shown = body[:HEX_LIMIT]
    return "\n".join(
        _row(offset, shown[offset : offset + HEX_ROW]) for offset in range(0, len(shown), HEX_ROW)
    )


def _text(read: bytes, is_all: bool) -> str | None:
    """Return UTF-8 text or None; the cut may have split the last character."""
    try:
        return codecs.utf_8_decode(read, "strict", is_all)[0]
    except UnicodeDecodeError:
        return None


def _row(offset: int, row: bytes) -> str:
    letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
    return f"{offset:04x}  {row[:8].hex(' '):23}  {row[8:].hex(' '):23}  {letters}"

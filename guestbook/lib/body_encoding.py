"""How a body is written: as a form with files (RFC 7578), compressed, in a charset; bytes in a text column.

Then how pages show bytes from strangers: JSON, a form, text, hex. Pure.
"""

import base64
import codecs
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Literal, NamedTuple
from urllib.parse import unquote_plus

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import BLANK_LINE_RE, Data, Epilogue, Field, File, MultipartDecoder, State

from guestbook.lib.errors import Translatable, with_detail

# Python knows encodings that take a second for each kilobyte, so only those of pages are used.
PAGE_ENCODING = re.compile(
    r"utf-?8|utf-?16(?:le|be)?|iso-?8859-?\d{1,2}|windows-?125\d|koi8-[ru]|shift_jis"
    r"|euc-(?:jp|kr)|gb2312|gbk|gb18030|big5|us-ascii",
    re.IGNORECASE,
)
# Both names mean the letters of Windows: https://encoding.spec.whatwg.org/#names-and-labels
WINDOWS_NAMES = re.compile(r"iso-?8859-?1|us-ascii", re.IGNORECASE)
NAMED_ENCODING = re.compile(r"""charset\s*=\s*["']?([\w-]{1,40})""", re.IGNORECASE)


def named_encoding(text: str) -> str | None:
    """Return Python's name of the encoding that `charset=` names; None for none, or for an unknown one."""
    found = NAMED_ENCODING.search(text)
    if not found or not PAGE_ENCODING.fullmatch(found[1]):
        return None
    if WINDOWS_NAMES.fullmatch(found[1]):
        return "cp1252"
    try:
        return codecs.lookup(found[1]).name
    except LookupError:  # ISO 8859 has no part of that number
        return None


MULTIPART = "multipart/form-data"
BOUNDARY_LIMIT = 70  # characters, RFC 2046
PART_HEAD_LIMIT = 2048  # bytes; megabytes of headers would need a hundred times as much memory


class NotMultipart(ValueError):
    """It is no such form, it is cut off, or a part has too long a head."""


class TooManyParts(ValueError):
    """It has more parts than the caller takes."""


class Part(NamedTuple):
    """A field, or a file if it has a file name."""

    name: str
    content: bytes
    content_type: str
    filename: str | None = None

    @property
    def text(self) -> str:
        """The content in the encoding that the part names, else in UTF-8."""
        try:
            return self.content.decode()
        except UnicodeDecodeError:
            return self.content.decode(named_encoding(self.content_type) or "utf-8", "replace")


def form_parts(body: bytes, boundary: str, most: int) -> list[Part]:
    """Return the parts that have a name, in their order; raises NotMultipart and TooManyParts."""
    if not 0 < len(boundary) <= BOUNDARY_LIMIT:
        raise NotMultipart
    try:
        decoder = MultipartDecoder(boundary.encode(), max_parts=most)
        decoder.receive_data(body)
        decoder.receive_data(None)
        return [part for part in _form_parts(decoder) if part.name]
    except RequestEntityTooLarge:
        raise TooManyParts from None
    except ValueError:
        raise NotMultipart from None


def _form_parts(decoder: MultipartDecoder) -> Iterator[Part]:
    head: Field | File | None = None
    pieces: list[bytes] = []
    while True:
        if decoder.state is State.PART and not BLANK_LINE_RE.search(decoder.buffer, 0, PART_HEAD_LIMIT):
            raise NotMultipart
        event = decoder.next_event()
        if isinstance(event, Epilogue):
            return
        if isinstance(event, Field | File):
            head, pieces = event, []
        elif isinstance(event, Data) and head:
            pieces.append(event.data)
            if not event.more_data:
                filename = head.filename if isinstance(head, File) else None
                yield Part(head.name, b"".join(pieces), head.headers.get("content-type", ""), filename)


# Some senders leave out zlib's header with deflate.
WINDOW_BITS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}

UNKNOWN_PACKING = Translatable(
    "The body is compressed in an unknown way. Only gzip and deflate are supported."
)
BROKEN_PACKING = Translatable("The body claims to be compressed, but cannot be unpacked.")


class PackedWrongly(Exception):
    """Why a body cannot be unpacked, in one sentence."""


def unpacked_beginning(encoding: str, body: bytes, most: int) -> bytes:
    """Unpack at most so many bytes; an uncompressed body comes back whole. Raises PackedWrongly."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in WINDOW_BITS:
        raise PackedWrongly(UNKNOWN_PACKING)
    for bits in WINDOW_BITS[encoding]:
        unpacker = zlib.decompressobj(bits)
        with suppress(zlib.error):
            unpacked = unpacker.decompress(body, most)
            if len(unpacked) == most or (unpacker.eof and not unpacker.unused_data):
                return unpacked
    raise PackedWrongly(with_detail(BROKEN_PACKING, encoding))


TEXT, BASE64 = "text", "base64"
ENCODINGS = (TEXT, BASE64)


def pack(body: bytes) -> tuple[str, str]:
    """Return the column's text and its encoding: `text` for UTF-8 without NUL (PostgreSQL refuses NUL)."""
    with suppress(UnicodeDecodeError):
        if b"\0" not in body:
            return body.decode(), TEXT
    return base64.b64encode(body).decode(), BASE64


def unpack(packed: str | bytes, encoding: str) -> bytes:
    """Return the packed bytes. If somebody changed the row by hand, return the column's own bytes."""
    if isinstance(packed, bytes):  # SQLite returns bytes if somebody stored bytes by hand
        return packed
    with suppress(ValueError):
        if encoding == BASE64:
            return base64.b64decode(packed, validate=True)
    return packed.encode(errors="replace")


JSON_INDENT = "  "
OPENERS, CLOSERS = ("[", "{"), ("]", "}")
WHITE = " \t\n\r"
TOKEN = re.compile(r'"(?:[^"\\]+|\\(?:.|\Z))*"?|[][{},:]|[^][{},:"\s]+', re.DOTALL)
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
            parts = form_parts(body, options.get("boundary", ""), MOST_PARTS)
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

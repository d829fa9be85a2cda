"""How a body is written: as a form with files (RFC 7578), compressed, in a charset; bytes in a text column.

Pure.
"""

import base64
import codecs
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from werkzeug.exceptions import RequestEntityTooLarge
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

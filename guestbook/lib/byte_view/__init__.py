"""Show bytes from strangers as people read them: JSON, a form, text, hex. Pure.

A page shows a limited part, and only that part is read. So the cost is limited too, however long or nested a
body is. The part that is read decides the kind of a longer body.
"""

import codecs
from dataclasses import dataclass
from typing import Literal

from guestbook.lib.byte_view.form_fields import fields
from guestbook.lib.byte_view.indented_json import indented

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
    elif form := fields(read, text, content_type, SHOWN_CHARACTERS, is_cut=not is_all):
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

"""Bytes that anybody may have sent, as people read them: JSON, a form, text, hex. Pure.

What a page shows is limited, and so is what is read for it: a body costs no more than what is shown of it,
however long and however nested it is. What is cut is judged by the part that is read.
"""

import codecs
from dataclasses import dataclass
from typing import Literal

from guestbook.lib.byte_view.form_fields import fields
from guestbook.lib.byte_view.indented_json import Beginning, indented

SHOWN = 50_000  # characters on a page; to read more, save the bytes
READ = 6 * SHOWN  # bytes that are looked at, for JSON may write each character as \u0041
HEX_LIMIT = 4096  # bytes shown of a body that is not text
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
    return views(body, content_type)[0]


def views(body: bytes, content_type: str = "", *, is_cut: bool = False) -> list[View]:
    """Return each way in which the bytes can be read, the best first; `is_cut` if there were more."""
    found: list[View] = []
    read, is_all = body[:READ], not is_cut and len(body) <= READ
    text = _text(read, is_all)
    if text is not None and (structured := indented(text, SHOWN, is_cut=not is_all)):
        found.append(_view("JSON", structured))
    elif form := fields(read, text, content_type, SHOWN, is_cut=not is_all):
        found.append(_view("form", form))
    if text is not None and "\0" not in text:
        found.append(View("text", text[:SHOWN], is_all and len(text) <= SHOWN))
    return [*found, View("hex", hex_dump(body), not is_cut and len(body) <= HEX_LIMIT)]


def hex_dump(body: bytes) -> str:
    """Return offset, bytes and letters of the first 4,096 bytes, 16 a line, as `hexdump -C` does."""
    shown = body[:HEX_LIMIT]
    return "\n".join(_row(offset, shown[offset : offset + ROW]) for offset in range(0, len(shown), ROW))


def _text(read: bytes, is_all: bool) -> str | None:
    """Return what is UTF-8; the end may have cut a character in two."""
    try:
        return codecs.utf_8_decode(read, "strict", is_all)[0]
    except UnicodeDecodeError:
        return None


def _view(kind: Kind, shown: Beginning) -> View:
    return View(kind, shown.text, shown.is_whole)


def _row(offset: int, row: bytes) -> str:
    letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
    return f"{offset:04x}  {row[:8].hex(' '):23}  {row[8:].hex(' '):23}  {letters}"

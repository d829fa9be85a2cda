"""Indent JSON while reading it, and stop at a limit. Pure.

Strings look as `json.dumps(value, ensure_ascii=False, indent=2)` writes them; numbers and repeated names stay
as they came. There is no recursion and no tree, so neither nesting nor size costs more than the shown part.
"""

import json
import re
from collections.abc import Callable
from typing import NamedTuple

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

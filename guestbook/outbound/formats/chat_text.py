"""The text of a chat's message: joined from a wording, cut to the service's limit, without markup. Pure."""

import re
from bisect import bisect_right
from collections.abc import Callable

from guestbook.outbound.formats.wording import MORE, Wording

Size = Callable[[str], int]  # of a text; the size of two texts together is the sum
Escape = Callable[[str], str]
JOINERS = "\u200c\u200d"  # parts of an emoji; at the end of a cut text they would join nothing
BEGUN_URL = re.compile(r"(?:https?://|www\.)\S*\Z", re.IGNORECASE)


def lines(
    words: Wording,
    escape: Escape,
    *,
    limit: int,
    size: Size = len,
    title: Escape | None = None,
    link: str = "{}",
) -> str:
    """Return the lines title, who, message and link, up to that size in all; only the message is cut.

    `title` escapes the title where it differs from `escape`; `link` is the pattern around the link.
    """
    above = [(title or escape)(words.title)] if words.title else []
    above += [escape(words.who)] if words.who else []
    below = [link.format(words.link)] if words.link else []
    taken = size("\n".join([*above, "", *below]))
    message = cut(words.message, escape, limit - taken, size)
    return "\n".join([*above, *([message] if message else []), *below])


def cut(text: str, escape: Escape, room: int, size: Size = len) -> str:
    """Return as much of the escaped text as fits into the room, with … where something is missing.

    No escape, emoji or URL is cut in two: half a URL leads elsewhere.
    """
    whole = escape(text)
    if size(whole) <= room:
        return whole
    room -= size(MORE)
    fitting = bisect_right(range(len(text) + 1), room, key=lambda n: size(escape(text[:n])))
    kept = _ended(text, fitting - 1) if fitting else ""
    while kept and size(escape(kept)) > room:  # a shorter URL may be escaped differently
        kept = _ended(text, len(kept) - 1)
    return escape(kept) + MORE if fitting else ""


def utf8(text: str) -> int:
    """Return how many bytes the text has."""
    return len(text.encode())


def utf16(text: str) -> int:
    """Return how many UTF-16 units the text has: an emoji has two."""
    return len(text.encode("utf-16-le")) // 2


def _ended(text: str, end: int) -> str:
    """Return the text up to that position, or up to the URL that would be cut in two there."""
    kept = text[:end].rstrip(JOINERS)
    return kept if text[end : end + 1].isspace() else BEGUN_URL.sub("", kept)


APART = "\u200b"  # a zero-width space: no space for Markdown, but a line that begins with it begins no list
ENDED = "\ufeff"  # of no width either, but JavaScript sees a space, so a URL ends there

IN_URL = r"[\w\-.~:/?#@!$&+,;=%*]"
LAST_IN_URL = r"[\w\-~/#@$&+=%]"
URL_REST = rf"(?:{IN_URL}|\({IN_URL}*\))+(?:{LAST_IN_URL}|\({IN_URL}*\))"
WEB = rf"(?<![\w.+-])https?://{URL_REST}"
WEB_OR_WWW = rf"{WEB}|(?<!\w)www\d{{0,3}}\.{URL_REST}"

ENCODED = str.maketrans({letter: f"%{ord(letter):02X}" for letter in "()*@"})
LINE_START = re.compile(r"^(?=[ +=:-]|\d+[.)])", re.MULTILINE)  # of code, lists, underlined headings, tables


class Markdown:
    """The Markdown of one service: its special characters, how to escape one, and what it takes for a URL."""

    def __init__(self, special: str, escape: Callable[[re.Match[str]], str], url: str) -> None:
        self._in_title = re.compile(special, re.IGNORECASE)
        self._in_text = re.compile(f"(?P<url>{url})|{special}", re.IGNORECASE)
        self._escape = escape

    def text(self, text: str) -> str:
        """Return the text with nothing in it special but its links."""
        return LINE_START.sub(APART, self._in_text.sub(self._url_or_escape, text))

    def bold(self, title: str) -> str:
        """Return a title in bold type; a URL in it is no link."""
        return f"**{self._in_title.sub(self._escape, title)}**"

    def _url_or_escape(self, match: re.Match[str]) -> str:
        return _url(match) if match["url"] else self._escape(match)


def _url(match: re.Match[str]) -> str:
    following = match.string[match.end() : match.end() + 1]
    return match[0].translate(ENCODED) + (ENDED if following and not following.isspace() else "")

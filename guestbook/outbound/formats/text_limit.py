"""Words as one text: escaped, and cut where a service takes no more. Pure."""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping

from guestbook.outbound.formats.wording import MORE, Wording

Size = Callable[[str], int]  # of a text; that of two texts together is the sum
Escape = Callable[[str], str]
JOINERS = "\u200c\u200d"  # which would wait for the half of an emoji that is cut off
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
    """Return the lines of title, who, message and link, of at most that size; the message alone is cut.

    `title` is what makes the title's line, where that is not `escape`; `link` is what stands around the link.
    """
    above = [(title or escape)(words.title)] if words.title else []
    above += [escape(words.who)] if words.who else []
    below = [link.format(words.link)] if words.link else []
    taken = size("\n".join([*above, "", *below]))
    message = cut(words.message, escape, limit - taken, size)
    return "\n".join([*above, *([message] if message else []), *below])


def cut(text: str, escape: Escape, room: int, size: Size = len) -> str:
    """Return as much of the text, escaped, as the room has place for, with … where something is missing.

    No escape, no emoji and no URL is cut in two: half a URL leads elsewhere.
    """
    whole = escape(text)
    if size(whole) <= room:
        return whole
    room -= size(MORE)
    fitting = bisect_right(range(len(text) + 1), room, key=lambda n: size(escape(text[:n])))
    kept = _ended(text, fitting - 1) if fitting else ""
    while kept and size(escape(kept)) > room:  # a URL that ends elsewhere may be escaped in another way
        kept = _ended(text, len(kept) - 1)
    return escape(kept) + MORE if fitting else ""


def translated(escapes: Mapping[int, str]) -> Escape:
    """Return what escapes each character by itself, as str.translate does."""
    return lambda text: text.translate(escapes)


def utf8(text: str) -> int:
    """Return how many bytes it has."""
    return len(text.encode())


def utf16(text: str) -> int:
    """Return how many UTF-16 units it has: an emoji has two."""
    return len(text.encode("utf-16-le")) // 2


def _ended(text: str, end: int) -> str:
    """Return the text up to there, or up to where a URL begins that would be cut in two."""
    kept = text[:end].rstrip(JOINERS)
    return kept if text[end : end + 1].isspace() else BEGUN_URL.sub("", kept)

"""Words as one text: escaped, and cut where a service takes no more. Pure."""

from bisect import bisect_right
from collections.abc import Callable, Mapping

from guestbook.formats.words import MORE, Words

Size = Callable[[str], int]  # of a text; that of two texts together is the sum
JOINERS = "\u200c\u200d"  # which would wait for the half of an emoji that is cut off


def lines(
    words: Words,
    escapes: Mapping[int, str],
    *,
    limit: int,
    size: Size = len,
    title: str = "{}",
    link: str = "{}",
) -> str:
    """Return the lines of title, who, message and link, of at most that size; the message alone is cut.

    `escapes` is for str.translate, so each character is escaped by itself and a cut never parts an escape.
    `title` and `link` are what stands around them.
    """
    above = [title.format(words.title.translate(escapes))] if words.title else []
    above += [words.who.translate(escapes)] if words.who else []
    below = [link.format(words.link)] if words.link else []
    taken = size("\n".join([*above, "", *below]))
    message = cut(words.message, escapes, limit - taken, size)
    return "\n".join([*above, *([message] if message else []), *below])


def cut(text: str, escapes: Mapping[int, str], room: int, size: Size = len) -> str:
    """Return as much of the text, escaped, as the room has place for, with … where something is missing."""
    whole = text.translate(escapes)
    if size(whole) <= room:
        return whole
    room -= size(MORE)
    fitting = bisect_right(range(len(text) + 1), room, key=lambda n: size(text[:n].translate(escapes)))
    if fitting == 0:
        return ""
    return text[: fitting - 1].rstrip(JOINERS).translate(escapes) + MORE


def utf8(text: str) -> int:
    """Return how many bytes it has."""
    return len(text.encode())


def utf16(text: str) -> int:
    """Return how many UTF-16 units it has: an emoji has two."""
    return len(text.encode("utf-16-le")) // 2

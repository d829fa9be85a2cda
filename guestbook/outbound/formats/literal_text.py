"""Text that stays as it was typed where a service reads Markdown or looks for names. Pure.

A URL that the service makes a link of by itself is left out of the escaping, which would break it. What would
end it or be read as markup in it is percent-encoded, which leads to the same place.
"""

import re
from collections.abc import Callable

from guestbook.outbound.formats.text_limit import Escape

APART = "\u200b"  # a zero-width space, which is no space for Markdown: what begins a line begins it no more
ENDED = "\ufeff"  # of no width either, but a space for JavaScript: there a URL ends

IN_URL = r"[\w\-.~:/?#@!$&+,;=%*]"
LAST_IN_URL = r"[\w\-~/#@$&+=%]"
REST = rf"(?:{IN_URL}|\({IN_URL}*\))+(?:{LAST_IN_URL}|\({IN_URL}*\))"
WEB = rf"(?<![\w.+-])https?://{REST}"
WEB_OR_WWW = rf"{WEB}|(?<!\w)www\d{{0,3}}\.{REST}"

ENCODED = str.maketrans({letter: f"%{ord(letter):02X}" for letter in "()*@"})
LINE_START = re.compile(r"^(?=[ +=:-]|\d+[.)])", re.MULTILINE)  # of code, lists, underlined headings, tables

Special = Callable[[re.Match[str]], str]


def escaper(url: str, special: str, escape: Special) -> Escape:
    """Return what escapes a text: the pattern of URLs, that of special characters, and how one is escaped."""
    wanted = re.compile(f"(?P<url>{url})|{special}", re.IGNORECASE)

    def each(match: re.Match[str]) -> str:
        return _url(match) if match["url"] else escape(match)

    return lambda text: LINE_START.sub(APART, wanted.sub(each, text))


def without_urls(special: str, escape: Special) -> Escape:
    """Return what escapes a text in which a URL is a text like any other, as in a title."""
    wanted = re.compile(special, re.IGNORECASE)
    return lambda text: wanted.sub(escape, text)


def _url(match: re.Match[str]) -> str:
    following = match.string[match.end() : match.end() + 1]
    return match[0].translate(ENCODED) + (ENDED if following and not following.isspace() else "")

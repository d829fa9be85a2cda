"""Keep text as it was typed where a service reads markup or looks for names. Pure.

Services make links of bare URLs, and an escape would break them. So URLs are not escaped; the characters in
them that would end the link or be read as markup are percent-encoded, which leads to the same place.
"""

import re
from collections.abc import Callable

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

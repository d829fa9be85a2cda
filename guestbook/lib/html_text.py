"""The words of a piece of HTML, as plain text."""

import re
from html import unescape
from html.parser import HTMLParser

BLOCKS = frozenset(("p", "div", "blockquote", "ul", "ol", "pre", "h1", "h2", "h3", "h4", "h5", "h6"))
UNSEEN = frozenset(("script", "style"))
LONG_NUMBER = re.compile("&#([0-9]{8,})")
BLANK_LINES_IN_A_ROW = re.compile(r"\n(?:[ \t]*\n){2,}")


def plain(html: str) -> str:
    """Return the text without tags; a link keeps its address, paragraphs and line breaks stay."""
    reader = _Words()
    # Without `close`: that would look at an unclosed tag again for each character of it.
    reader.feed(with_short_numbers(html))
    reader.handle_data(unescape(reader.rawdata))
    return BLANK_LINES_IN_A_ROW.sub("\n\n", "".join(reader.parts)).strip("\n").rstrip()


def unescaped(text: str) -> str:
    """Return the text with the characters that `&lt;` and the like stand for."""
    return unescape(with_short_numbers(text))


def with_short_numbers(html: str) -> str:
    """Return the same HTML without numbers of thousands of digits, of which Python makes an error."""
    return LONG_NUMBER.sub(lambda found: f"&#{found[1].lstrip('0')[:8] or 0}", html)


class _Words(HTMLParser):
    """Collects the text between the tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen: str | None = None
        self._link: tuple[str, int] | None = None  # its address, and the part at which its text begins

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line, a paragraph or a link."""
        if tag in UNSEEN:
            self._unseen = tag
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in BLOCKS:
            self.parts.append("\n\n" if self.parts else "")
        elif tag == "a":
            self._link = (dict(attrs).get("href") or "", len(self.parts))

    def handle_endtag(self, tag: str) -> None:
        """End a paragraph, or say where a link leads."""
        if tag == self._unseen:
            self._unseen = None
        elif tag in BLOCKS:
            self.parts.append("\n\n")
        elif tag == "a" and self._link:
            address, start = self._link
            self._link = None
            if address and "".join(self.parts[start:]).strip() != address:
                self.parts.append(f" ({address})")

    def handle_data(self, data: str) -> None:
        """Take the text."""
        if self._unseen is None:
            self.parts.append(data)

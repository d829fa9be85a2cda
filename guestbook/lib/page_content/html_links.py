"""The links of an HTML page, in the order of the document. Comments and escaped markup hold none. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urljoin

from guestbook.lib import html_text

LINKING = ("href", "src", "cite", "data", "poster")  # attributes that hold the address of something
# Browsers show the markup in these as text, or not at all.
INERT = frozenset(("textarea", "title", "template", "noscript", "iframe", "noembed", "noframes", "xmp"))
VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
TITLE_READ = 1000  # characters


class Link(NamedTuple):
    """One address in a page."""

    tag: str
    rel: frozenset[str]  # in lower case
    url: str  # absolute


@dataclass(slots=True)
class HtmlLinks:
    """What was found in a page."""

    links: list[Link] = field(default_factory=list)
    title: str = ""
    tags: int = 0
    depth: int = 0  # of the deepest tag
    class_names: int = 0
    complete: str = ""  # the page up to its last complete tag


def read(html: str, page_url: str) -> HtmlLinks:
    """Read a page of any kind; never raises."""
    reader, html = _Reader(page_url), html_text.with_short_numbers(html)
    # Without `close`: that would look at an unclosed comment again for each character of it.
    reader.feed(html)
    reader.found.complete = html[: len(html) - len(reader.rawdata)]
    return reader.found


def absolute(base: str, address: str) -> str:
    """Return an address as it is seen from the base; "" for none that can be read."""
    try:
        return urljoin(base, address.strip())
    except ValueError:  # brackets that no host has
        return ""


class _Reader(HTMLParser):
    """Collects links, and what tells how large the page is as a tree."""

    def __init__(self, page_url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found = HtmlLinks()
        self._base = page_url
        self._has_base = False
        self._inert: str | None = None
        self._open: list[str] = []
        self._open_counts: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses of a tag."""
        found = self.found
        found.tags += 1
        if tag not in VOID:
            self._open.append(tag)
            self._open_counts[tag] += 1
            found.depth = max(found.depth, len(self._open))
        if self._inert:
            return
        if tag in INERT:
            self._inert = tag
            return
        values = {name: value or "" for name, value in reversed(attrs)}  # the first of a name counts
        found.class_names += len(values.get("class", "").split())
        if tag == "base":
            if "href" in values and not self._has_base:
                self._base, self._has_base = absolute(self._base, values["href"]) or self._base, True
            return
        rel = frozenset(values.get("rel", "").lower().split())
        for name in LINKING:
            if name in values and (url := absolute(self._base, values[name])):
                found.links.append(Link(tag, rel, url))

    def handle_endtag(self, tag: str) -> None:
        """Leave a tag, and those in it that nobody has closed."""
        while self._open_counts[tag]:
            left = self._open.pop()
            self._open_counts[left] -= 1
            if left == tag:
                break
        if tag == self._inert:
            self._inert = None

    def handle_data(self, data: str) -> None:
        """Keep the title."""
        if self._inert == "title" and len(self.found.title) < TITLE_READ:
            self.found.title += data[:TITLE_READ]

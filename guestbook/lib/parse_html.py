"""A page of the web: its words and links, its Webmention endpoint and its h-entry. Pure.

A page was fetched elsewhere.
"""

import json
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit, urlunsplit

from guestbook.lib import body_encoding
from guestbook.lib.errors import Refused, Translatable, with_detail
from guestbook.lib.validate import DEFAULT_PORTS

HTML_TYPES = ("text/html", "application/xhtml+xml")
LOOKED_AT = 1024  # bytes in which a page names its encoding


class WebPage(NamedTuple):
    """A page that was read."""

    url: str  # after redirects
    kind: str  # its content type, without parameters, in lower case
    link_header: str  # all its Link headers
    text: str

    @property
    def is_html(self) -> bool:
        """Whether to read it as HTML. A page that names no type is read so too, as browsers do."""
        return self.kind in HTML_TYPES or not self.kind


def read(url: str, headers: Mapping[str, str], body: bytes, most: int) -> WebPage:
    """Return the page that an answer holds, unpacked up to `most` bytes; raises PackedWrongly."""
    unpacked = body_encoding.unpacked_beginning(headers.get("content-encoding", ""), body, most)[:most]
    kind, _, parameters = headers.get("content-type", "").partition(";")
    beginning = unpacked[:LOOKED_AT].decode("ascii", "replace")
    encoding = body_encoding.named_encoding(parameters) or body_encoding.named_encoding(beginning) or "utf-8"
    return WebPage(url, kind.strip().lower(), headers.get("link", ""), unpacked.decode(encoding, "replace"))


HTML_BLOCKS = ("p", "div", "blockquote", "ul", "ol", "pre", "h1", "h2", "h3", "h4", "h5", "h6")
BEFORE_TAGS = {"br": "\n", "li": "\n- ", **dict.fromkeys(HTML_BLOCKS, "\n\n")}
LONG_NUMBER = re.compile("&#([0-9]{8,})")
HTML_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")


def of_html(html: str) -> str:
    """Return the text without tags; a link keeps its address, paragraphs and line breaks stay."""
    reader = _Words()
    # Without `close`: that would look at an unclosed tag again for each character of it.
    reader.feed(readable_by_python(html))
    reader.handle_data(unescape(reader.rawdata))
    return HTML_BLANK_LINES.sub("\n\n", "".join(reader.parts)).strip("\n").rstrip()


def unescaped(text: str) -> str:
    """Return the text with the characters that `&lt;` and the like stand for."""
    return unescape(_with_short_numbers(text))


def readable_by_python(html: str) -> str:
    """Return the same HTML without what Python's parser fails at: very long numbers, and most `<![`."""
    return _with_short_numbers(html.replace("<![", "<! ["))


def _with_short_numbers(html: str) -> str:
    return LONG_NUMBER.sub(lambda found: f"&#{found[1].lstrip('0')[:8] or 0}", html)


class _Words(HTMLParser):
    """Collects the text between the tags. A tree of them would take the square of their depth."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen: str | None = None
        self._link: tuple[str, int] | None = None  # its address, and the part at which its text begins

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line, a paragraph or a link."""
        self.parts.append(BEFORE_TAGS.get(tag, ""))
        if tag in ("script", "style"):
            self._unseen = tag
        elif tag == "a":
            self._link = (dict(attrs).get("href") or "", len(self.parts))

    def handle_endtag(self, tag: str) -> None:
        """End a paragraph, or say where a link leads."""
        if tag == self._unseen:
            self._unseen = None
        elif tag in HTML_BLOCKS:
            self.parts.append("\n\n")
        elif tag == "a" and self._link:
            (address, start), self._link = self._link, None
            if address and "".join(self.parts[start:]).strip() != address:
                self.parts.append(f" ({address})")

    def handle_data(self, data: str) -> None:
        """Take the text."""
        if self._unseen is None:
            self.parts.append(data)


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
    depth: int = 0  # how deep the deepest tag is
    class_names: int = 0
    complete: str = ""  # the page up to its last complete tag


def read_links(html: str, page_url: str) -> HtmlLinks:
    """Read a page of any kind; never raises."""
    reader, html = _Reader(page_url), readable_by_python(html)
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


# An address in angle brackets, and its parameters up to the comma before the next one.
VALUE = re.compile(r'<([^<>]*)>((?:[^,"]|"(?:[^"\\]|\\.)*"?)*)')
PARAMETER = re.compile(r';\s*([^\s=;,"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))')


def header_links(header: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each address and its relations in lower case, in the order of the header.

    Several headers are one, joined by commas.
    """
    for address, parameters in VALUE.findall(header):
        for name, quoted, bare in PARAMETER.findall(parameters):
            if name.lower() == "rel":  # the first of them counts
                yield address, frozenset((quoted or bare).lower().split())
                break


REL = "webmention"


def endpoint(page: WebPage) -> str | None:
    """Return the absolute address: of the first Link header, or of the first <link> or <a>; else None."""
    for address, rel in header_links(page.link_header):
        if REL in rel:
            return absolute(page.url, address) or None
    if not page.is_html:
        return None
    for link in read_links(page.text, page.url).links:
        if REL in link.rel and link.tag in ("link", "a"):
            return link.url
    return None


PLAIN_END = frozenset(" \t\r\n<>\"'")  # an address in plain text ends before one of these
UNREADABLE_KIND = Translatable("Only pages in HTML, JSON and plain text can be read.")
NO_JSON = Translatable("The page claims to be JSON, but is not.")


def addresses(page: WebPage) -> Iterable[str]:
    """Return the addresses that a page holds, by its kind; raises Refused for a kind without links."""
    if page.is_html:
        return [link.url for link in read_links(page.text, page.url).links]
    if page.kind.endswith(("/json", "+json")):
        return _json_texts(page.text)
    if page.kind == "text/plain":
        return page.text.translate(dict.fromkeys(map(ord, PLAIN_END), " ")).split()
    raise Refused(with_detail(UNREADABLE_KIND, page.kind))


def normal_address(url: str) -> str:
    """Return an address in the form in which two of them are compared; "" if it cannot be read."""
    try:
        parts = urlsplit(url)
        is_usual = parts.port in (None, DEFAULT_PORTS.get(parts.scheme))
    except ValueError:
        return ""
    host = (parts.hostname or "") + ("" if is_usual else f":{parts.port}")
    return urlunsplit((parts.scheme, host, parts.path or "/", parts.query, parts.fragment))


def _json_texts(text: str) -> list[str]:
    try:
        value = json.loads(text, parse_int=float)  # int() refuses a number of thousands of digits
    except (ValueError, RecursionError):
        raise Refused(NO_JSON) from None
    found: list[str] = []
    level: list[Any] = [value]
    while level:  # a level at a time, because recursion could run out of stack
        found += [one for one in level if isinstance(one, str)]
        nested = [one for one in level if isinstance(one, dict | list)]
        level = [inner for one in nested for inner in (one.values() if isinstance(one, dict) else one)]
    return found


# A page above these limits is read without its microformats: a tree of it would take long to build.
MOST_TAGS = 10_000
MOST_DEPTH = 150
MOST_CLASS_NAMES = 30_000
MOST_ITEMS = 300  # microformats that are looked at

# What the author does with the address, the clearest first.
RELATIONS = ("in-reply-to", "like-of", "repost-of", "bookmark-of")


class PageEntry(NamedTuple):
    """What was found; a text is "" where the page says nothing. Nothing is cleaned yet."""

    name: str = ""  # the author's
    website: str = ""  # the author's
    title: str = ""
    summary: str = ""
    content: str = ""
    relation: str = ""  # one of RELATIONS


def read_entry(page: WebPage, found: HtmlLinks, target: str) -> PageEntry:
    """Return the entry that links to the target, or the first one of the page."""
    entries = [one for one in _items(_parsed(page, found)) if "h-entry" in one.get("type", ())]
    if not entries:
        return PageEntry(title=found.title)
    entry = next((one for one in entries if _names(one, target)), entries[0])
    title, content, summary = (_text(entry, name) for name in ("name", "content", "summary"))
    return PageEntry(
        name=_author(entry, "name"),
        website=_author(entry, "url"),
        title="" if content.startswith(title.rstrip("….")[:100]) else title,
        summary=summary,
        content=content,
        relation=next((one for one in RELATIONS if target in _addresses(entry, one)), ""),
    )


def _parsed(page: WebPage, found: HtmlLinks) -> list[Any]:
    if found.tags > MOST_TAGS or found.depth > MOST_DEPTH or found.class_names > MOST_CLASS_NAMES:
        return []
    import mf2py  # imported here, because only webmentions need it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its parser has opinions about pages
            # Python's own parser of HTML: html5lib takes minutes for some pages.
            parsed = mf2py.Parser(doc=found.complete, url=page.url, html_parser="html.parser").to_dict()
    except Exception:  # a page that it cannot read has no microformats
        return []
    return list(parsed.get("items", ()))


def _items(items: list[Any]) -> Iterator[Any]:
    """Yield microformats and those below them, a level at a time."""
    seen, level = 0, items
    while level and seen < MOST_ITEMS:
        yield from level[: MOST_ITEMS - seen]
        seen += len(level)
        level = [child for item in level for child in item.get("children", ())]


def _names(entry: Any, target: str) -> bool:
    if any(target in _addresses(entry, one) for one in RELATIONS):
        return True
    return any(target in str(one.get("html")) for one in _values(entry, "content") if isinstance(one, dict))


def _addresses(entry: Any, name: str) -> list[str]:
    """Return the addresses of a property in their normal form; it may be an h-cite with an address."""
    found = [_entry_texts(one, "url") if isinstance(one, dict) else [one] for one in _values(entry, name)]
    return [normal_address(str(one)) for some in found for one in some]


def _author(entry: Any, name: str) -> str:
    """Return a property of the author's h-card. An author may also be a bare name or address."""
    for author in _values(entry, "author"):
        if isinstance(author, dict):
            return _text(author, name)
        is_address = str(author).startswith(("http://", "https://"))
        return str(author) if is_address == (name == "url") else ""
    return ""


def _text(item: Any, name: str) -> str:
    return next(iter(_entry_texts(item, name)), "")


def _entry_texts(item: Any, name: str) -> list[str]:
    return [str(one.get("value") or "") if isinstance(one, dict) else str(one) for one in _values(item, name)]


def _values(item: Any, name: str) -> list[Any]:
    properties = item.get("properties")
    return list(properties.get(name, ())) if isinstance(properties, dict) else []

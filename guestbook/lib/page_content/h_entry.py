"""Read what a page says, and who says it, from its microformats: the h-entry and its h-card. Pure.

mf2py does it. It is imported when the first page is read: nothing else needs it, and it takes long.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from guestbook.lib.page_content import WebPage, mention_link
from guestbook.lib.page_content.html_links import HtmlLinks

# A page above these limits is read without its microformats: a tree of it would take long to build.
MOST_TAGS = 10_000
MOST_DEPTH = 150
MOST_CLASS_NAMES = 30_000
MOST_ITEMS = 300  # of microformats that are looked at

# What the author does with the address, the clearest first.
RELATIONS = ("in-reply-to", "like-of", "repost-of", "bookmark-of")
NO_PARSER = "The package mf2py is not installed, so the page's author and text cannot be read."


class ParserMissing(Exception):
    """The installation lacks the package, in one sentence."""


@dataclass(frozen=True, slots=True)
class PageEntry:
    """What was found; a text is "" where the page says nothing. Nothing is cleaned yet."""

    name: str = ""  # of the author
    website: str = ""  # of the author
    title: str = ""
    summary: str = ""
    content: str = ""
    relation: str = ""  # one of RELATIONS


def read(page: WebPage, found: HtmlLinks, target: str) -> PageEntry:
    """Return the entry that links to the target, or the first one of the page; raises ParserMissing."""
    entry = next(iter(_ranked(page, found, target)), None)
    if entry is None:
        return PageEntry(title=found.title)
    title, content = _text(entry, "name"), _text(entry, "content")
    return PageEntry(
        name=_author(entry, "name"),
        website=_author(entry, "url"),
        title="" if content.startswith(title.rstrip("….")[:100]) else title,
        summary=_text(entry, "summary"),
        content=content,
        relation=next((one for one in RELATIONS if target in _addresses(entry, one)), ""),
    )


def _ranked(page: WebPage, found: HtmlLinks, target: str) -> list[Any]:
    """Return the entries of the page, those first that name the target."""
    entries = [one for one in _items(_parsed(page, found)) if "h-entry" in one.get("type", ())]
    return sorted(entries, key=lambda entry: not _names(entry, target))


def _parsed(page: WebPage, found: HtmlLinks) -> list[Any]:
    if found.tags > MOST_TAGS or found.depth > MOST_DEPTH or found.class_names > MOST_CLASS_NAMES:
        return []
    try:
        import mf2py
    except ImportError:
        raise ParserMissing(NO_PARSER) from None
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
    nested = [_texts(one, "url") if isinstance(one, dict) else [str(one)] for one in _values(entry, name)]
    return [mention_link.normal(one) for some in nested for one in some]


def _author(entry: Any, name: str) -> str:
    """Return a property of the author's h-card. An author may also be a bare name or address."""
    for author in _values(entry, "author"):
        if isinstance(author, dict):
            return next(iter(_texts(author, name)), "")
        is_address = str(author).startswith(("http://", "https://"))
        return str(author) if is_address == (name == "url") else ""
    return ""


def _text(item: Any, name: str) -> str:
    return next(iter(_texts(item, name)), "")


def _texts(item: Any, name: str) -> list[str]:
    return [str(one.get("value") or "") if isinstance(one, dict) else str(one) for one in _values(item, name)]


def _values(item: Any, name: str) -> list[Any]:
    properties = item.get("properties")
    return list(properties.get(name, ())) if isinstance(properties, dict) else []

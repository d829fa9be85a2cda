"""Whether a page links to an address. An address in its text alone is no link. Pure."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from guestbook.lib.errors import Refused, with_detail
from guestbook.lib.page_content import WebPage, html_links
from guestbook.lib.translatable import Translatable

PLAIN_END = frozenset(" \t\r\n<>\"'")  # an address in plain text ends before one of these
UNREADABLE_KIND = Translatable("Only pages in HTML, JSON and plain text can be read.")
NO_JSON = Translatable("The page claims to be JSON, but is not.")


def addresses(page: WebPage) -> Iterable[str]:
    """Return the addresses that a page holds, by its kind; raises Refused for a kind without links."""
    if page.is_html:
        return [link.url for link in html_links.read(page.text, page.url).links]
    if page.kind.endswith(("/json", "+json")):
        return _texts(page.text)
    if page.kind == "text/plain":
        return page.text.translate(dict.fromkeys(map(ord, PLAIN_END), " ")).split()
    raise Refused(with_detail(UNREADABLE_KIND, page.kind))


def normal(url: str) -> str:
    """Return an address in the form in which two of them are compared; "" if it cannot be read."""
    try:
        parts = urlsplit(url)
        port = (
            f":{parts.port}" if parts.port not in (None, {"http": 80, "https": 443}.get(parts.scheme)) else ""
        )
    except ValueError:
        return ""
    host = (parts.hostname or "") + port
    return urlunsplit((parts.scheme, host, parts.path or "/", parts.query, parts.fragment))


def _texts(text: str) -> list[str]:
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

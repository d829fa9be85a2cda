"""A page of the web, as text and links. Pure: it was fetched elsewhere.

A stranger wrote the page, so each step is linear in its size.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from guestbook.lib import decompression
from guestbook.lib.decompression import PackedWrongly

# Python knows encodings that take a second for each kilobyte, so only those of pages are used.
PAGE_ENCODING = re.compile(
    r"utf-?8|utf-?16(?:le|be)?|iso-?8859-?\d{1,2}|windows-?125\d|koi8-[ru]|shift_jis"
    r"|euc-(?:jp|kr)|gb2312|gbk|gb18030|big5|us-ascii",
    re.IGNORECASE,
)
NAMED_ENCODING = re.compile(r"""charset\s*=\s*["']?([\w-]{1,40})""", re.IGNORECASE)
HTML_TYPES = ("text/html", "application/xhtml+xml")
LOOKED_AT = 1024  # bytes in which a page names its encoding


@dataclass(frozen=True, slots=True)
class WebPage:
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
    unpacked = decompression.beginning(headers.get("content-encoding", ""), body, most)[:most]
    kind, _, parameters = headers.get("content-type", "").partition(";")
    return WebPage(url, kind.strip().lower(), headers.get("link", ""), _decoded(unpacked, parameters))


def _decoded(body: bytes, parameters: str) -> str:
    named = NAMED_ENCODING.search(parameters) or NAMED_ENCODING.search(
        body[:LOOKED_AT].decode("ascii", "replace")
    )
    encoding = named[1] if named and PAGE_ENCODING.fullmatch(named[1]) else "utf-8"
    try:
        return body.decode(encoding, "replace")
    except LookupError:  # ISO 8859 has no part of that number
        return body.decode("utf-8", "replace")


__all__ = ["PackedWrongly", "WebPage", "read"]

"""A page of the web, as text and links. Pure: it was fetched elsewhere.

A stranger wrote the page, so each step is linear in its size.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from guestbook.lib import decompression, text_encoding
from guestbook.lib.decompression import PackedWrongly

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
    beginning = body[:LOOKED_AT].decode("ascii", "replace")
    named = text_encoding.named(parameters if text_encoding.is_named(parameters) else beginning)
    return body.decode(named or "utf-8", "replace")


__all__ = ["PackedWrongly", "WebPage", "read"]

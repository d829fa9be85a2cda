"""A webmention as it was sent: the two addresses, and the checks that cost nothing. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urldefrag, urlencode, urlsplit

from guestbook.lib import ids, page_content
from guestbook.lib.errors import Refused, Translatable

SOURCE_URL_LIMIT = 500  # characters, as in schema.sql: origins.url
TARGET_URL_LIMIT = 2000  # characters
FORM = "application/x-www-form-urlencoded"
NOT_IN_AN_ADDRESS = re.compile(r"[\x00-\x20\x7f-\xa0\\\s\ud800-\udfff]")
COMMENT_PATH = re.compile(r"/comments/[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class MentionRequest:
    """A page, and the page of the book that it says it links to."""

    source: str
    target: str

    @property
    def body(self) -> bytes:
        """Return the form that is stored."""
        return urlencode({"source": self.source, "target": self.target}).encode()

    @property
    def key(self) -> str:
        """Return what is the same for the same two addresses."""
        return ids.of_secret(f"{self.source}\n{self.target}")

    @property
    def page_url(self) -> str:
        """Return the address to read: a fragment is not sent."""
        return urldefrag(self.source).url

    @property
    def host(self) -> str:
        """Return the host of the page, as readers see it after “via”."""
        return host_of(self.source)


def checked(form: Mapping[str, Any], base_url: str) -> MentionRequest:
    """Return the request that a form holds; raises Refused with a sentence for each wrong field."""
    source, target = (str(form.get(name) or "").strip() for name in ("source", "target"))
    reasons = {
        "source": _fault(source, Translatable("source"), SOURCE_URL_LIMIT),
        "target": _fault(target, Translatable("target"), TARGET_URL_LIMIT),
    }
    if wrong := {field: reason for field, reason in reasons.items() if reason}:
        raise Refused.of(wrong)
    if page_content.normal_address(source) == page_content.normal_address(target):
        raise Refused(Translatable("The source and the target must be different pages."), field="source")
    if not is_page_of(target, base_url):
        raise Refused(Translatable("The target is not a page of this book."), field="target")
    if _path_below(source, base_url) is not None:
        raise Refused(Translatable("The source is a page of this book itself."), field="source")
    return MentionRequest(source, target)


def host_of(url: str) -> str:
    """Return the host of an address, in small letters; "" if it has none."""
    parts = _split(url)
    return parts.hostname or "" if parts else ""


def is_page_of(url: str, base_url: str) -> bool:
    """Whether it is the address of the book or of a comment; http and https are the same here."""
    path = _path_below(url, base_url)
    return path is not None and (path in ("", "/") or COMMENT_PATH.fullmatch(path) is not None)


def _fault(url: str, name: str, limit: int) -> str | None:
    """Return what is wrong with an address by itself."""
    if not url:
        return Translatable("The %(name)s is missing.", name=name)
    if len(url) > limit:
        return Translatable("The %(name)s is longer than %(limit)s characters.", name=name, limit=limit)
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return Translatable(
            "The %(name)s must be an address that begins with https:// or http://.", name=name
        )
    if NOT_IN_AN_ADDRESS.search(url) or "@" in parts.netloc:
        return Translatable("The %(name)s must not contain spaces, backslashes, or a user name.", name=name)
    return None


def _path_below(url: str, base_url: str) -> str | None:
    """Return the path of a page of this book's site, as seen from the book; None on other sites."""
    theirs, ours = _split(url), _split(base_url)
    if theirs is None or ours is None or _site(theirs) != _site(ours):
        return None
    path, below = theirs.path, ours.path.rstrip("/")
    is_below = path == below or path.startswith(f"{below}/")
    return path.removeprefix(below) if is_below else None


def _site(parts: SplitResult) -> tuple[str | None, int | None]:
    default = 443 if parts.scheme == "https" else 80
    return parts.hostname, None if parts.port == default else parts.port


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # reading it checks it
    except ValueError:
        return None
    return parts

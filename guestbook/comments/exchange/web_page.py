"""The page of a website on which a comment stood: other programs keep those of many pages in one file."""

from urllib.parse import urlsplit

ANONYMOUS = "Anonymous"  # the name of a comment without any, which this book does not allow


def is_wanted(address: str, wanted: str | None) -> bool:
    """Whether an address is that of the page, given as an address or its path; None wants all."""
    return wanted is None or _path(address) == _path(wanted)


def _path(address: str) -> str:
    try:
        parts = urlsplit(address.strip())
    except ValueError:  # impossible brackets
        return address
    path = parts.path.strip("/")
    return f"{path}?{parts.query}" if parts.query else path

"""Where a redirect leads. Only `Transport.get` follows one. Pure."""

from urllib.parse import urldefrag, urljoin

MOST_REDIRECTS = 5  # from one address to the next, for one page
REDIRECT_STATUSES = (301, 302, 303, 307, 308)


def following(url: str, status: int, location: str | None) -> str | None:
    """Return the address that an answer leads to, without a fragment; None if it leads nowhere.

    The address is as the stranger wrote it: whoever connects to it checks it first.
    """
    if status not in REDIRECT_STATUSES or not location:
        return None
    try:
        return urldefrag(urljoin(url, _as_utf8(location.strip()))).url
    except ValueError:  # brackets that no host has
        return location


def _as_utf8(location: str) -> str:
    """Return it as most servers mean it. Headers were read as Latin-1, which loses nothing."""
    try:
        return location.encode("iso-8859-1").decode()
    except ValueError:
        return location

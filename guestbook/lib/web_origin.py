"""The origin of a website, such as https://example.org, as browsers write it (RFC 6454). Pure."""

import re
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
ASCII_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")


def parse(typed: str) -> str:
    """Return the origin that somebody typed, also by a whole address; raises ValueError with a sentence."""
    wrong = f"{typed[:80]!r} is not the address of a website, such as https://example.org."
    try:
        parts = urlsplit(typed)
        host, port = (parts.hostname or "").encode("idna").decode().lower(), parts.port
    except ValueError:
        raise ValueError(wrong) from None
    if parts.scheme not in DEFAULT_PORTS or "@" in parts.netloc or not ASCII_HOST.fullmatch(host):
        raise ValueError(wrong)
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != DEFAULT_PORTS[parts.scheme] else "")

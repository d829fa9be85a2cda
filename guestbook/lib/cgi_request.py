"""The request of a CGI process, which answers one and ends."""

import os


def path() -> str | None:
    """Return the path of the one request that this process answers (RFC 3875, 4.1.5); None in a server."""
    return os.environ.get("PATH_INFO", "") if "GATEWAY_INTERFACE" in os.environ else None

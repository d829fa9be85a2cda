"""The name of this host. It says which host ran a pass."""

import socket


def of_this_host() -> str:
    """Return the name, cut to the 100 characters of its column."""
    return socket.gethostname()[:100]

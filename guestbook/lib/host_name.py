"""The name of this host, as the passes of one database are told apart by it."""

import socket


def of_this_host() -> str:
    """Return the name, cut to the 100 characters of its column."""
    return socket.gethostname()[:100]

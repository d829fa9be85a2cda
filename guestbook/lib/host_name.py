"""The identity of this host: it says which host ran a pass, and which hosts share a file."""

import socket
from contextlib import suppress
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # Linux's; all containers on one kernel have the same


def of_this_host() -> str:
    """Return the name, cut to the 100 characters of its column."""
    return socket.gethostname()[:100]


def boot_id() -> str | None:
    """Return what tells this running kernel from all others; None on other systems than Linux."""
    with suppress(OSError):
        return BOOT_ID.read_text().strip() or None
    return None

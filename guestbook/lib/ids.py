"""Ids that the application makes: time-ordered, never reused, alike in all databases; this host's name."""

import hashlib
import re
import secrets
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ID = re.compile("[0-9a-f]{32}")
URL_TOKEN = re.compile("[0-9A-Za-z_-]{1,64}")  # the secret part of the URL of a source, a bin or cron
URL_TOKEN_BYTES = 24  # random bytes: too many to guess


def new() -> str:
    """Return a UUIDv7 as 32 hex characters; later ones sort after earlier ones.

    RFC 9562 section 5.7, with the 12 bits of rand_a holding the fraction of the millisecond
    (section 6.2, method 3), so that ids made within one millisecond keep their order too.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    tail = secrets.randbits(62) | 0b10 << 62
    return f"{milliseconds << 16 | 0x7000 | fraction:016x}{tail:016x}"


def new_url_token() -> str:
    """Return the secret part of a URL, too long to guess; a URL needs no escapes for it."""
    return secrets.token_urlsafe(URL_TOKEN_BYTES)


def of_secret(value: str) -> str:
    """Return the id under which a token is found: its SHA-256, so that no table has the token itself."""
    return hashlib.sha256(value.encode(errors="replace")).hexdigest()


def guid(row_id: str) -> str:
    """Return an id in the form with hyphens, as other programs expect a UUID."""
    return "-".join((row_id[:8], row_id[8:12], row_id[12:16], row_id[16:20], row_id[20:]))


def derived(moment: datetime, digest: bytes, number: int = 0) -> str:
    """Return the UUIDv7 that a row from elsewhere always gets; `digest` is eight bytes of a hash, or more.

    rand_a has the end of `number`, so that rows of one millisecond keep their order.
    """
    tail = int.from_bytes(digest[:8]) >> 2 | 0b10 << 62
    return f"{first_of(moment)[:12]}7{number & 0xFFF:03x}{tail:016x}"


def first_of(moment: datetime) -> str:
    """Return what all ids made at that moment or later are not below, so that time is a range of ids."""
    return f"{max(0, (moment - EPOCH) // timedelta(milliseconds=1)):012x}".ljust(32, "0")


def moment_of(row_id: str) -> datetime:
    """Return when an id was made, in UTC; of a foreign one, some time in the past."""
    with suppress(ValueError, OverflowError):
        return EPOCH + timedelta(milliseconds=int(row_id[:12], 16))
    return EPOCH


BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # Linux's; all containers on one kernel have the same


def host_name() -> str:
    """Return the name, cut to the 100 characters of its column."""
    return socket.gethostname()[:100]


def boot_id() -> str | None:
    """Return what tells this running kernel from all others, or elsewhere than on Linux its network card."""
    with suppress(OSError):
        return BOOT_ID.read_text().strip() or None
    import uuid  # here: Linux does not need it

    number = uuid.getnode()
    return None if number >> 40 & 1 else f"{number:x}"  # the bit marks one that was made for this process

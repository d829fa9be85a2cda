"""Ids that the application makes: time-ordered, never reused, the same in every database."""

import secrets
import time


def new() -> str:
    """Return a UUIDv7 as 32 hex characters; later ones sort after earlier ones.

    RFC 9562 section 5.7, with the 12 bits of rand_a holding the fraction of the millisecond
    (section 6.2, method 3), so that ids made within one millisecond keep their order too.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    tail = secrets.randbits(62) | 0b10 << 62
    return f"{milliseconds << 16 | 0x7000 | fraction:016x}{tail:016x}"

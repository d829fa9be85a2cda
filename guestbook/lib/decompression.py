"""Unpack a body that was sent compressed, up to a limit. Pure."""

import zlib

from guestbook.lib.errors import with_detail
from guestbook.lib.translatable import Translatable

# Some senders leave out zlib's header with deflate.
WINDOW_BITS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}


UNKNOWN_PACKING = Translatable(
    "The body is compressed in an unknown way. Only gzip and deflate are supported."
)
BROKEN_PACKING = Translatable("The body claims to be compressed, but cannot be unpacked.")


class PackedWrongly(Exception):
    """Why a body cannot be unpacked, in one sentence."""


def beginning(encoding: str, body: bytes, most: int) -> bytes:
    """Unpack at most so many bytes; an uncompressed body comes back whole. Raises PackedWrongly."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in WINDOW_BITS:
        raise PackedWrongly(UNKNOWN_PACKING)
    for bits in WINDOW_BITS[encoding]:
        unpacker = zlib.decompressobj(bits)
        try:
            unpacked = unpacker.decompress(body, most)
        except zlib.error:
            continue
        if len(unpacked) == most or (unpacker.eof and not unpacker.unused_data):
            return unpacked
    raise PackedWrongly(with_detail(BROKEN_PACKING, encoding))

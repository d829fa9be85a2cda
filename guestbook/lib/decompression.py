"""Unpack a body that was sent compressed, up to a limit. Pure."""

import zlib

# Some senders leave out zlib's header with deflate.
WINDOW_BITS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}


class PackedWrongly(Exception):
    """Why a body cannot be unpacked, in one sentence."""


def beginning(encoding: str, body: bytes, most: int) -> bytes:
    """Unpack at most so many bytes; an uncompressed body comes back whole. Raises PackedWrongly."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in WINDOW_BITS:
        raise PackedWrongly("The body is compressed in an unknown way. Only gzip and deflate are supported.")
    for bits in WINDOW_BITS[encoding]:
        unpacker = zlib.decompressobj(bits)
        try:
            unpacked = unpacker.decompress(body, most)
        except zlib.error:
            continue
        if len(unpacked) == most or (unpacker.eof and not unpacker.unused_data):
            return unpacked
    raise PackedWrongly(f"The body claims to be compressed with {encoding}, but cannot be unpacked.")

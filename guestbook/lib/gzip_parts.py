"""A text of which only the middle changes, compressed: the rest is compressed once (RFC 1951, RFC 1952)."""

import struct
import zlib

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, no system
RAW_DEFLATE = -zlib.MAX_WBITS
SIZE_MASK = 0xFFFFFFFF


class GzipParts:
    """The compressed beginning and end. No part refers back into another, so each stands on its own."""

    def __init__(self, beginning: bytes, end: bytes, level: int) -> None:
        self._level = level
        self._end, self._checksum, self._size = end, zlib.crc32(beginning), len(beginning) + len(end)
        self._small_beginning = self._compress(beginning, zlib.Z_FULL_FLUSH)
        self._small_end = self._compress(end, zlib.Z_FINISH)

    def around(self, middle: bytes) -> bytes:
        """Return the whole text, compressed."""
        checksum = zlib.crc32(self._end, zlib.crc32(middle, self._checksum))
        size = (self._size + len(middle)) & SIZE_MASK
        small_middle = self._compress(middle, zlib.Z_FULL_FLUSH)
        trailer = struct.pack("<LL", checksum, size)
        return b"".join((GZIP_HEADER, self._small_beginning, small_middle, self._small_end, trailer))

    def _compress(self, part: bytes, ending: int) -> bytes:
        compressor = zlib.compressobj(self._level, zlib.DEFLATED, RAW_DEFLATE)
        return compressor.compress(part) + compressor.flush(ending)

"""Keep any bytes in a text column, so that they come back byte for byte."""

import base64
import binascii

TEXT, BASE64 = "text", "base64"
ENCODINGS = (TEXT, BASE64)


def pack(body: bytes) -> tuple[str, str]:
    """Return the column's text and its encoding: `text` for UTF-8 without NUL (PostgreSQL refuses NUL)."""
    if b"\0" not in body:
        try:
            return body.decode(), TEXT
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), BASE64


def unpack(packed: str | bytes, encoding: str) -> bytes:
    """Return the packed bytes. If somebody changed the row by hand, return the column's own bytes."""
    if isinstance(packed, bytes):  # SQLite returns bytes if somebody stored bytes by hand
        return packed
    if encoding == BASE64:
        try:
            return base64.b64decode(packed, validate=True)
        except (binascii.Error, ValueError):
            pass
    return packed.encode(errors="replace")

"""Check Ed25519 signatures with a sender's public key, however the sender writes it."""

import base64
import binascii
import re
from collections.abc import Sequence

from guestbook.lib import ed25519
from guestbook.lib.verification.signature_headers import Unproven, as_bytes

HEX_KEY = re.compile("[0-9A-Fa-f]{64}")
NO_KEY = "The public key must have 64 hexadecimal digits, or be the base64 of 32 bytes."


def read(text: str) -> bytes:
    """Return the bytes of a public key in hex or in base64, with whpk_ or without; raises Unproven."""
    bare = text.removeprefix(ed25519.PUBLIC_KEY_PREFIX)
    if HEX_KEY.fullmatch(bare):
        return bytes.fromhex(bare)
    try:
        key = base64.b64decode(as_bytes(bare) + b"=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != ed25519.KEY_LENGTH:
        raise Unproven(NO_KEY)
    return key


def has_signed(key: str, content: bytes, signatures: Sequence[bytes]) -> bool:
    """Whether one of the signatures is of the content; raises Unproven for an unusable key."""
    raw = read(key)
    try:
        return any(ed25519.verify(raw, content, one) for one in signatures)
    except ed25519.PackageMissing as missing:
        raise Unproven(f"{missing} It comes with the extra {ed25519.KEY_EXTRA}.") from None

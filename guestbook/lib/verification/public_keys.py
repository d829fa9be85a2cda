"""Check Ed25519 signatures (RFC 8032) with a sender's public key.

The package cryptography does it, and only these senders need it: so it is an extra, imported when it is used.
"""

import base64
import binascii
import re
from collections.abc import Sequence

from guestbook.lib.verification.signature_headers import Unproven, as_bytes

PUBLIC_KEY_PREFIX = "whpk_"  # of Standard Webhooks
HEX_KEY = re.compile("[0-9A-Fa-f]{64}")
KEY_BYTES = 32
NO_PACKAGE = (
    "Ed25519 signatures need the package cryptography, which is not installed here: "
    "run pip install cryptography."
)
NO_KEY = "The public key must have 64 hexadecimal digits, or be the base64 of 32 bytes."


def read(text: str) -> bytes:
    """Return the bytes of a public key in hex or in base64, with whpk_ or without; raises Unproven."""
    bare = text.removeprefix(PUBLIC_KEY_PREFIX)
    if HEX_KEY.fullmatch(bare):
        return bytes.fromhex(bare)
    try:
        key = base64.b64decode(as_bytes(bare) + b"=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise Unproven(NO_KEY)
    return key


def has_signed(key: str, content: bytes, signatures: Sequence[bytes]) -> bool:
    """Whether one of the signatures is of the content; raises Unproven for an unusable key."""
    raw = read(key)
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise Unproven(NO_PACKAGE) from None
    public_key = Ed25519PublicKey.from_public_bytes(raw)
    for signature in signatures:
        try:
            public_key.verify(signature, content)
        except InvalidSignature:
            continue
        return True
    return False

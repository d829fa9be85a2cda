"""Encrypt a text with a key that is used for this text alone, by what every Python has. Pure.

The text is combined with SHAKE-256 of the key and a nonce, whose output may be as long as needed (FIPS 202).
HMAC-SHA256 over the nonce and the result notices each change (RFC 2104). Two texts never share key and nonce.
"""

import base64
import hashlib
import hmac
import secrets

NONCE_BYTES = 16
TAG_BYTES = 32


class SealBroken(ValueError):
    """The key is another one, or the sealed text was changed."""


def seal(key: bytes, text: str) -> str:
    """Return the text encrypted, as ASCII."""
    nonce, plain = secrets.token_bytes(NONCE_BYTES), text.encode()
    sealed = nonce + _combined(plain, key, nonce)
    return base64.b64encode(_tag(key, sealed) + sealed).decode()


def unseal(key: bytes, sealed: str) -> str:
    """Return the text; raises SealBroken."""
    found = base64.b64decode(sealed)
    tag, rest = found[:TAG_BYTES], found[TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(key, rest)):
        raise SealBroken
    return _combined(rest[NONCE_BYTES:], key, rest[:NONCE_BYTES]).decode()


def _combined(text: bytes, key: bytes, nonce: bytes) -> bytes:
    """Encrypt or decrypt: both are the same."""
    stream = hashlib.shake_256(_derived(key, b"stream") + nonce).digest(len(text))
    return (int.from_bytes(text) ^ int.from_bytes(stream)).to_bytes(len(text))


def _tag(key: bytes, sealed: bytes) -> bytes:
    return hmac.digest(_derived(key, b"tag"), sealed, "sha256")


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, purpose, "sha256")

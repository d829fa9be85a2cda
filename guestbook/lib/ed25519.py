"""Ed25519 (RFC 8032), with keys as Standard Webhooks 1.0.0 writes them. Pure.

The package cryptography computes. It is an extra, because a small host may have no wheel of it. It is
imported with the first signature, because that takes as long as a request.
"""

import base64
import binascii
import secrets
from importlib import import_module
from typing import Any

PRIVATE_KEY_PREFIX, PUBLIC_KEY_PREFIX = "whsk_", "whpk_"
KEY_LENGTH = 32  # bytes of a seed, from which the private key is made, and of a public key
KEY_FORMS = (
    f"{PRIVATE_KEY_PREFIX} and the base64 of {KEY_LENGTH} bytes, or of {2 * KEY_LENGTH} with the public key"
)
KEY_EXTRA = "ed25519"  # the extra of setup.cfg that has the package
NO_KEYS = "The package cryptography is not installed, so nothing can be signed or verified with a key."


class PackageMissing(Exception):
    """The package cryptography is not here; the sentence says so."""


def new_key() -> str:
    """Return `whsk_` and the base64 of a fresh seed with its public key, as Svix writes it too."""
    return _private_key(secrets.token_bytes(KEY_LENGTH))


def completed(key: str) -> str:
    """Return a `whsk_…` key with its public key; some programs write the seed alone.

    Raises ValueError for what is no key, and PackageMissing.
    """
    try:
        seed = _decoded(key, KEY_LENGTH)
    except ValueError:
        seed = seed_of(key)
    return _private_key(seed)


def seed_of(key: str) -> bytes:
    """Return the seed inside a `whsk_…` key; raises ValueError, also when its two halves are no pair."""
    seed = _decoded(key, 2 * KEY_LENGTH)[:KEY_LENGTH]
    if public_key(key) != written(public_bytes(seed)):
        raise ValueError("The private key and its public key are no pair")
    return seed


def public_key(key: str) -> str:
    """Return the `whpk_…` key of a `whsk_…` key, which needs no package; raises ValueError."""
    return written(_decoded(key, 2 * KEY_LENGTH)[KEY_LENGTH:])


def written(public: bytes) -> str:
    """Return a public key as `whpk_` and its base64."""
    return PUBLIC_KEY_PREFIX + base64.b64encode(public).decode()


def public_bytes(seed: bytes) -> bytes:
    """Return the public key of a seed; raises PackageMissing."""
    public: bytes = _package().Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return public


def sign(seed: bytes, content: bytes) -> bytes:
    """Return the signature, 64 bytes; raises PackageMissing."""
    signature: bytes = _package().Ed25519PrivateKey.from_private_bytes(seed).sign(content)
    return signature


def verify(public: bytes, content: bytes, signature: bytes) -> bool:
    """Whether the key's owner has signed the content; raises PackageMissing."""
    package = _package()
    from cryptography.exceptions import InvalidSignature

    try:
        package.Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except (InvalidSignature, ValueError):  # a key or a signature of another length
        return False
    return True


def _package() -> Any:
    try:
        import_module("cryptography.exceptions")
        return import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
    except ImportError:
        raise PackageMissing(NO_KEYS) from None


def _private_key(seed: bytes) -> str:
    return PRIVATE_KEY_PREFIX + base64.b64encode(seed + public_bytes(seed)).decode()


def _decoded(key: str, length: int) -> bytes:
    try:
        decoded = base64.b64decode(key.removeprefix(PRIVATE_KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):  # the latter for what is not ASCII
        decoded = b""
    if not key.startswith(PRIVATE_KEY_PREFIX) or len(decoded) != length:
        raise ValueError(f"A key is {PRIVATE_KEY_PREFIX} and the base64 of {length} bytes")
    return decoded

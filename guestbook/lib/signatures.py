"""Sign webhooks: Standard Webhooks 1.0.0, with a secret or a key pair, and GitHub's header. Pure.

The package cryptography computes Ed25519 (RFC 8032). It is an extra, because a small host may have no wheel
of it. It is imported with the first signature, because that takes as long as a request.
"""

import base64
import hmac
import secrets
from contextlib import suppress
from importlib import import_module
from typing import Any

PRIVATE_KEY_PREFIX, PUBLIC_KEY_PREFIX = "whsk_", "whpk_"
KEY_LENGTH = 32  # bytes of a seed, from which the private key is made, and of a public key
ED25519_DER = bytes.fromhex("302a300506032b6570032100")  # before a public key: RFC 8410
KEY_FORMS = (
    f"{PRIVATE_KEY_PREFIX} and the base64 of {KEY_LENGTH} bytes, or of {2 * KEY_LENGTH} with the public key"
)
KEY_EXTRA = "ed25519"  # the extra of setup.cfg that has the package
NO_KEYS = "The package cryptography is not installed, so nothing can be signed or verified with a key."
SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32  # the specification asks for 24 to 64
SHORTEST_SECRET, LONGEST_SECRET = 16, 100  # characters of one that is a text
SECRET_FORMS = (
    f"{SECRET_PREFIX} and the base64 of 24 to 64 bytes, or "
    f"a text of {SHORTEST_SECRET} to {LONGEST_SECRET} characters in one line"
)
# A secret that is a text does not begin like a key.
MISTAKEN_PREFIXES = (SECRET_PREFIX, PRIVATE_KEY_PREFIX, PUBLIC_KEY_PREFIX)


def new_secret() -> str:
    """Return `whsec_` and the base64 of fresh random bytes (Standard Webhooks, "Signature scheme")."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the key that a secret is to Standard Webhooks; raises ValueError.

    It is inside a `whsec_…` secret. Another text, made for GitHub's scheme, is the key itself.
    """
    if is_text(secret):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(f"A secret is {SECRET_FORMS}")
    return key


def is_text(secret: str) -> bool:
    """Whether a secret is a text without `whsec_`, as people choose it for receivers written for GitHub."""
    is_in_size = SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET
    return is_in_size and secret.isprintable() and not secret.lower().startswith(MISTAKEN_PREFIXES)


def standard_form(secret: str) -> str:
    """Return the secret as the packages of Standard Webhooks take it: with `whsec_`."""
    return SECRET_PREFIX + base64.b64encode(secret.encode()).decode() if is_text(secret) else secret


def signed_content(event_id: str, timestamp: int, body: bytes) -> bytes:
    """Return the signed bytes: id, Unix seconds and the exact body, joined by dots."""
    return b"%s.%d.%s" % (event_id.encode(), timestamp, body)


def standard(
    keys: tuple[bytes, ...], event_id: str, timestamp: int, body: bytes, seeds: tuple[bytes, ...] = ()
) -> str:
    """Return the value of `webhook-signature`: `v1,<base64>` for each key, `v1a,<base64>` for each seed."""
    content = signed_content(event_id, timestamp, body)
    signed = [("v1", hmac.digest(key, content, "sha256")) for key in keys]
    signed += [("v1a", ed25519_sign(seed, content)) for seed in seeds]
    return " ".join(f"{version},{base64.b64encode(signature).decode()}" for version, signature in signed)


def hub(secret: bytes, body: bytes) -> str:
    """Return the value of `X-Hub-Signature-256`, as GitHub makes it: the key is the secret's text."""
    return "sha256=" + hmac.digest(secret, body, "sha256").hex()


class PackageMissing(Exception):
    """The package cryptography is not here; the sentence says so."""


def new_key() -> str:
    """Return `whsk_` and the base64 of a fresh seed with its public key, as Svix writes it too."""
    return _private_key(secrets.token_bytes(KEY_LENGTH))


def completed_key(key: str) -> str:
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
    if public_key(key) != written_key(public_bytes(seed)):
        raise ValueError("The private key and its public key are no pair")
    return seed


def public_key(key: str) -> str:
    """Return the `whpk_…` key of a `whsk_…` key, which needs no package; raises ValueError."""
    return written_key(_decoded(key, 2 * KEY_LENGTH)[KEY_LENGTH:])


def written_key(public: bytes) -> str:
    """Return a public key as `whpk_` and its base64."""
    return PUBLIC_KEY_PREFIX + base64.b64encode(public).decode()


def public_bytes(seed: bytes) -> bytes:
    """Return the public key of a seed; raises PackageMissing."""
    return bytes(_package().Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


def ed25519_sign(seed: bytes, content: bytes) -> bytes:
    """Return the signature, 64 bytes; raises PackageMissing."""
    return bytes(_package().Ed25519PrivateKey.from_private_bytes(seed).sign(content))


def verify_with_key(public: bytes, content: bytes, signature: bytes) -> bool:
    """Whether the owner of an Ed25519 key, or of a P-256 key in DER, has signed; raises PackageMissing."""
    load, is_ed25519 = _package("serialization").load_der_public_key, len(public) == KEY_LENGTH
    method = () if is_ed25519 else (_package("asymmetric.ec").ECDSA(_package("hashes").SHA256()),)
    from cryptography.exceptions import InvalidSignature

    with suppress(InvalidSignature, ValueError):  # the latter for a key or a signature of another length
        load(ED25519_DER * is_ed25519 + public).verify(signature, content, *method)
        return True
    return False


def _package(name: str = "asymmetric.ed25519") -> Any:
    try:
        import_module("cryptography.exceptions")
        return import_module(f"cryptography.hazmat.primitives.{name}")
    except ImportError:
        raise PackageMissing(NO_KEYS) from None


def _private_key(seed: bytes) -> str:
    return PRIVATE_KEY_PREFIX + base64.b64encode(seed + public_bytes(seed)).decode()


def _decoded(key: str, length: int) -> bytes:
    try:
        decoded = base64.b64decode(key.removeprefix(PRIVATE_KEY_PREFIX), validate=True)
    except ValueError:
        decoded = b""
    if not key.startswith(PRIVATE_KEY_PREFIX) or len(decoded) != length:
        raise ValueError(f"A key is {PRIVATE_KEY_PREFIX} and the base64 of {length} bytes")
    return decoded

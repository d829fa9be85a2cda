"""Sign deliveries: Standard Webhooks 1.0.0, and GitHub's header. Pure."""

import base64
import binascii
import hmac
import secrets

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32  # the specification asks for 24 to 64


def new_secret() -> str:
    """Return `whsec_` and the base64 of fresh random bytes (Standard Webhooks, "Signature scheme")."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the key inside a `whsec_…` secret; raises ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("A secret is whsec_ and the base64 of 24 to 64 bytes")
    return key


def signed_content(event_id: str, timestamp: int, body: bytes) -> bytes:
    """Return the signed bytes: id, Unix seconds and the exact body, joined by dots."""
    return b"%s.%d.%s" % (event_id.encode(), timestamp, body)


def standard(keys: tuple[bytes, ...], event_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one `v1,<base64>` for each key that is valid now."""
    content = signed_content(event_id, timestamp, body)
    digests = (hmac.digest(key, content, "sha256") for key in keys)
    return " ".join("v1," + binascii.b2a_base64(digest, newline=False).decode() for digest in digests)


def hub(secret: bytes, body: bytes) -> str:
    """Return the value of `X-Hub-Signature-256`, as GitHub makes it: the key is the secret's text."""
    return "sha256=" + hmac.digest(secret, body, "sha256").hex()

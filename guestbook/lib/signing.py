"""Sign what we send: Standard Webhooks 1.0.0, and GitHub's header beside it. Pure."""

import base64
import binascii
import hmac
import secrets

PREFIX = "whsec_"
SECRET_BYTES = 32  # the specification asks for 24 to 64


def new_secret() -> str:
    """Return `whsec_` and the base64 of fresh random bytes (Standard Webhooks, "Signature scheme")."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the key inside a `whsec_…` secret. Raises ValueError when there is none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("A secret is whsec_ and the base64 of 24 to 64 bytes")
    return key


def signed_content(event_id: str, timestamp: int, body: bytes) -> bytes:
    """Return what is signed: id, unix seconds and the exact body, joined by dots."""
    return b"%s.%d.%s" % (event_id.encode(), timestamp, body)


def standard(keys: tuple[bytes, ...], event_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one `v1,<base64>` for each key that is valid now."""
    content = signed_content(event_id, timestamp, body)
    digests = (hmac.digest(key, content, "sha256") for key in keys)
    return " ".join("v1," + binascii.b2a_base64(digest, newline=False).decode() for digest in digests)


def hub(secret: bytes, body: bytes) -> str:
    """Return the value of `X-Hub-Signature-256`, as GitHub makes it: the key is the secret as shown."""
    return "sha256=" + hmac.digest(secret, body, "sha256").hex()

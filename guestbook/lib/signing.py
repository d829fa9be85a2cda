"""Sign deliveries: Standard Webhooks 1.0.0, with a secret or a key pair, and GitHub's header. Pure."""

import base64
import hmac
import secrets

from guestbook.lib import ed25519

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32  # the specification asks for 24 to 64
SHORTEST_SECRET, LONGEST_SECRET = 16, 100  # characters of one that is a text
SECRET_FORMS = (
    f"{SECRET_PREFIX} and the base64 of 24 to 64 bytes, or "
    f"a text of {SHORTEST_SECRET} to {LONGEST_SECRET} characters in one line"
)
# A secret that is a text does not begin like a key.
MISTAKEN_PREFIXES = (SECRET_PREFIX, ed25519.PRIVATE_KEY_PREFIX, ed25519.PUBLIC_KEY_PREFIX)


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
    signed += [("v1a", ed25519.sign(seed, content)) for seed in seeds]
    return " ".join(f"{version},{base64.b64encode(signature).decode()}" for version, signature in signed)


def hub(secret: bytes, body: bytes) -> str:
    """Return the value of `X-Hub-Signature-256`, as GitHub makes it: the key is the secret's text."""
    return "sha256=" + hmac.digest(secret, body, "sha256").hex()

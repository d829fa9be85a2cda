"""Sign a request as the sender of a source would: for sample events. Pure."""

import hmac
from collections.abc import Callable, Mapping

from guestbook.lib import signing
from guestbook.lib.ed25519 import PUBLIC_KEY_PREFIX
from guestbook.lib.verification import kinds
from guestbook.lib.verification.kinds import ED25519, SignatureScheme, Unproven, as_bytes
from guestbook.lib.verification.verify_signature import TOKEN_HEADER

# Takes the secret, the event's id, the time in Unix seconds and the body.
Signer = Callable[[str, str, int, bytes], dict[str, str]]


class Unsignable(Exception):
    """A sentence for the owner: why only the sender itself can sign."""


def sign(
    verify: str,
    secret: str | None,
    body: bytes,
    *,
    event_id: str,
    seconds: int,
    header: str | None = None,
    scheme: SignatureScheme | None = None,
) -> dict[str, str]:
    """Return the headers that prove a request to a source; none where it verifies nothing.

    `header` and `scheme` are those of the source. Raises Unsignable.
    """
    if why := hindrance(verify, secret):
        raise Unsignable(why)
    key = secret or ""
    if verify == "none":
        return {}
    if verify == "token":
        return {header or TOKEN_HEADER: key}
    if scheme is not None:
        return scheme.sign(key, seconds, body)
    if verify not in SIGNERS:
        raise Unsignable("The book does not know how this sender signs. Let the sender send a test.")
    try:
        return SIGNERS[verify](key, event_id, seconds, body)
    except Unproven as error:  # somebody has garbled the secret
        raise Unsignable(str(error)) from None


def hindrance(verify: str, secret: str | None) -> str | None:
    """Return why the book cannot sign as the sender does, or None."""
    if verify == "none":
        return None
    if not secret:
        return "This source has no secret to sign with."
    if verify == ED25519 or (verify == "standard" and secret.startswith(PUBLIC_KEY_PREFIX)):
        return (
            "This source verifies with a public key, and only its sender has the private key that signs. "
            "Let the sender send a test."
        )
    return None


def _github(secret: str, _event_id: str, _seconds: int, body: bytes) -> dict[str, str]:
    return {"X-Hub-Signature-256": signing.hub(as_bytes(secret), body)}


def _standard(secret: str, event_id: str, seconds: int, body: bytes) -> dict[str, str]:
    signature = signing.standard((kinds.key_inside(secret),), event_id, seconds, body)
    return {"webhook-id": event_id, "webhook-timestamp": str(seconds), "webhook-signature": signature}


def _stripe(secret: str, _event_id: str, seconds: int, body: bytes) -> dict[str, str]:
    return {"Stripe-Signature": f"t={seconds},v1={_hex(secret, b'%d.%s' % (seconds, body))}"}


def _slack(secret: str, _event_id: str, seconds: int, body: bytes) -> dict[str, str]:
    signature = f"v0={_hex(secret, b'v0:%d:%s' % (seconds, body))}"
    return {"X-Slack-Request-Timestamp": str(seconds), "X-Slack-Signature": signature}


def _hex(secret: str, content: bytes) -> str:
    return hmac.digest(as_bytes(secret), content, "sha256").hex()


SIGNERS: Mapping[str, Signer] = {
    "github": _github,
    "standard": _standard,
    "stripe": _stripe,
    "slack": _slack,
}

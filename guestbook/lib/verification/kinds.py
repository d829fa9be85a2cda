"""The ways to verify who sent a webhook: one entry each. Pure.

A new kind needs a reader in `signature_headers.py`, an entry here, and its name in the CHECK of `schema.sql`.
Commands, pages and the model take it from here.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from guestbook.lib import signing
from guestbook.lib.ed25519 import PUBLIC_KEY_PREFIX
from guestbook.lib.verification import public_keys, signature_headers
from guestbook.lib.verification.signature_headers import SignatureClaim, Unproven, as_bytes
from guestbook.lib.verification.signature_scheme import SignatureScheme

# Takes the header's name, the headers and the body.
Reader = Callable[[str, Mapping[str, str], bytes], SignatureClaim]
# Takes the secret; whether it has made one of the signatures. Raises Unproven for an unusable secret.
Matcher = Callable[[str, SignatureClaim], bool]


def text_key(secret: str, claim: SignatureClaim) -> bool:
    """As GitHub, Stripe and Slack sign: the key is the secret as it is shown, whatever it starts with."""
    expected = hmac.digest(as_bytes(secret), claim.content, claim.hash_name).hex()
    return is_among(expected, claim.signatures)


def standard_key(secret: str, claim: SignatureClaim) -> bool:
    """As Standard Webhooks signs: the key is inside the secret, or the secret is the sender's public key."""
    if secret.startswith(PUBLIC_KEY_PREFIX):
        return public_key(secret, claim)
    expected = base64.b64encode(hmac.digest(key_inside(secret), claim.content, "sha256")).decode()
    return is_among(expected, claim.signatures)


def public_key(secret: str, claim: SignatureClaim) -> bool:
    """As Discord signs: with a private key, and our secret is its public key."""
    return public_keys.has_signed(secret, claim.content, claim.public_signatures)


def is_among(expected: str, signatures: Sequence[str]) -> bool:
    """Compare with every one, so that the time taken does not tell which one matches."""
    return sum(hmac.compare_digest(as_bytes(expected), as_bytes(one)) for one in signatures) > 0


@dataclass(frozen=True, slots=True)
class VerificationKind:
    """One way to verify, and what the owner reads about it."""

    title: str
    hint: str  # when to choose it
    header: str = ""  # carries the signature
    read: Reader | None = None
    matches: Matcher = text_key
    has_scheme: bool = False  # whether each source says how its sender signs
    new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(32)
    secret_from: str = ""  # where the owner finds the secret, if the sender makes it
    mistaken: tuple[str, ...] = ()  # beginnings of what people paste instead of it
    mistaken_for: str = ""

    def claim(
        self, headers: Mapping[str, str], body: bytes, scheme: SignatureScheme | None = None
    ) -> SignatureClaim:
        """Take the signatures and what they sign from a request; raises Unproven."""
        if scheme is not None:
            return scheme.claim(headers, body)
        if self.read is None:
            raise Unproven("Nothing is signed.")
        return self.read(self.header, headers, body)


VERIFICATION_KINDS = {
    "github": VerificationKind(
        title="GitHub",
        hint="signs with a secret; so do Gitea, Forgejo and Meta",
        header="X-Hub-Signature-256",
        read=signature_headers.github,
    ),
    "standard": VerificationKind(
        title="Standard Webhooks",
        hint="for another guestbook, Svix and many more",
        header="webhook-signature",
        read=signature_headers.standard,
        matches=standard_key,
        new_secret=signing.new_secret,
    ),
    "stripe": VerificationKind(
        title="Stripe",
        hint="with the signing secret that Stripe shows",
        header="Stripe-Signature",
        read=signature_headers.stripe,
        secret_from="the signing secret that Stripe shows",
        mistaken=("sk_", "rk_", "pk_"),
        mistaken_for="a key of Stripe’s API; the signing secret begins with whsec_",
    ),
    "slack": VerificationKind(
        title="Slack",
        hint="with the signing secret of your Slack app",
        header="X-Slack-Signature",
        read=signature_headers.slack,
        secret_from="the signing secret that Slack shows under Basic Information",
        mistaken=("xox", "xapp-"),
        mistaken_for="a token of Slack’s API; the signing secret is another one, of 32 characters",
    ),
    "hmac": VerificationKind(
        title="Any HMAC",
        hint="for all others that sign with a secret: Shopify, Linear, Typeform, Zoom and many more",
        has_scheme=True,
    ),
    "ed25519": VerificationKind(
        title="Ed25519",
        hint="for senders that show a public key, as Discord does",
        matches=public_key,
        has_scheme=True,
        secret_from="the public key that the sender shows",
    ),
    "token": VerificationKind(
        "A token", "the sender puts a secret into a header, as GitLab or your own script does"
    ),
    "none": VerificationKind(
        "Nothing", "anyone who knows the URL may send; choose it only to try things out"
    ),
}


def key_inside(secret: str) -> bytes:
    """Take a key of any length, with whsec_ and padding or without: senders make them so; raises Unproven."""
    text = as_bytes(secret.removeprefix(signing.SECRET_PREFIX))
    try:
        key = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise Unproven("The secret is not one of Standard Webhooks: it must be whsec_ and base64.")
    return key

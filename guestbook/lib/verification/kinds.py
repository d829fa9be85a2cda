"""The ways to verify who sent a webhook: one entry each. Pure.

A new kind needs a reader in `signature_headers.py`, an entry here, and its name in the CHECK of `schema.sql`.
Commands, pages and the model take it from here.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from guestbook.lib import signing
from guestbook.lib.verification import signature_headers
from guestbook.lib.verification.signature_headers import SignatureClaim, Unproven, as_bytes

# Takes the header's name, the headers and the body.
Reader = Callable[[str, Mapping[str, str], bytes], SignatureClaim]
Signer = Callable[[str, bytes], str]  # takes the secret and the content; returns the text in the header


def hex_signature(secret: str, content: bytes) -> str:
    """Sign as GitHub, Stripe and Slack do: the key is the secret as it is shown, whatever it starts with."""
    return hmac.digest(as_bytes(secret), content, "sha256").hex()


def base64_signature(secret: str, content: bytes) -> str:
    """Sign as Standard Webhooks does: the key is inside the secret. Raises Unproven for another secret."""
    return base64.b64encode(hmac.digest(_standard_key(secret), content, "sha256")).decode()


@dataclass(frozen=True, slots=True)
class VerificationKind:
    """One way to verify, and what the owner reads about it."""

    title: str
    hint: str  # when to choose it
    header: str = ""  # carries the signature
    read: Reader | None = None
    sign: Signer = hex_signature
    new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(32)
    secret_from: str = ""  # where the owner finds the secret, if the sender makes it
    mistaken: tuple[str, ...] = ()  # beginnings of what people paste instead of it
    mistaken_for: str = ""

    def claim(self, headers: Mapping[str, str], body: bytes) -> SignatureClaim:
        """Take the signatures and what they sign from a request; raises Unproven."""
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
        sign=base64_signature,
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
    "token": VerificationKind(
        "A token", "the sender puts a secret into a header, as GitLab or your own script does"
    ),
    "none": VerificationKind(
        "Nothing", "anyone who knows the URL may send; choose it only to try things out"
    ),
}


def _standard_key(secret: str) -> bytes:
    """Take a key of any length, with whsec_ and padding or without: senders make them so."""
    if secret.startswith("whpk_"):
        raise Unproven("The secret is a public key (whpk_…), which is not supported: use a shared secret.")
    text = as_bytes(secret.removeprefix(signing.SECRET_PREFIX))
    try:
        key = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise Unproven("The secret is not one of Standard Webhooks: it must be whsec_ and base64.")
    return key

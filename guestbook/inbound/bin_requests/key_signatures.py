"""Whether a bin's request is signed with the key of a webhook: its signatures of version v1a. Pure."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from guestbook.lib import clock, ed25519
from guestbook.lib.verification.kinds import VERIFICATION_KINDS
from guestbook.lib.verification.signature_headers import SignatureClaim
from guestbook.storage.models import Webhook

SIGNATURE_HEADER = VERIFICATION_KINDS["standard"].header
BY_SECRET, BY_KEY = "v1,", "v1a,"
NO_KEY_MATCHES = (
    "No key of a webhook here matches: the sender used another one, or the id, the timestamp or the body "
    "changed."
)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that may verify, and whose it is in words."""

    key: str
    whose: str


def public_keys_of(webhooks: Iterable[Webhook], received_at: datetime) -> list[PublicKey]:
    """Return the keys that were valid at that time, rotated ones last."""
    current, previous = [], []
    for webhook in webhooks:
        if webhook.public_key:
            current.append(PublicKey(webhook.public_key, f"the key of “{webhook.name}”"))
        expires = webhook.previous_signing_key_expires_at
        if webhook.previous_public_key and expires and expires > received_at:
            whose = f"the previous key of “{webhook.name}”, which is valid until {clock.to_text(expires)}"
            previous.append(PublicKey(webhook.previous_public_key, whose))
    return current + previous


def has_any(headers: Mapping[str, str], version: str) -> bool:
    """Whether the request has signatures of the version, `v1,` or `v1a,`."""
    return any(one.startswith(version) for one in headers.get(SIGNATURE_HEADER, "").split())


def claim_of(headers: Mapping[str, str], body: bytes) -> SignatureClaim:
    """Read the signatures of keys, whose content is that of the others too. Raises Unproven."""
    listed = headers.get(SIGNATURE_HEADER, "").split()
    as_if = " ".join(BY_SECRET + one.removeprefix(BY_KEY) for one in listed if one.startswith(BY_KEY))
    return VERIFICATION_KINDS["standard"].claim({**headers, SIGNATURE_HEADER: as_if}, body)


def signer(claim: SignatureClaim, keys: Sequence[PublicKey]) -> PublicKey | None:
    """Return the key that verifies one of the signatures; raises PackageMissing."""
    signatures = [_decoded(one) for one in claim.signatures]
    for key in keys:
        public = ed25519.public_key_bytes(key.key)
        if any(ed25519.verify(public, claim.content, signature) for signature in signatures):
            return key
    return None


def _decoded(signature: str) -> bytes:
    try:
        return base64.b64decode(signature, validate=True)
    except ValueError:
        return b""

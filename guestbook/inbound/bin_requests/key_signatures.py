"""Whether a bin's request is signed with the key of a webhook: its signatures of version v1a. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from guestbook.lib import clock
from guestbook.lib.verification import public_keys
from guestbook.lib.verification.signature_headers import SignatureClaim
from guestbook.storage.models import Webhook

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


def signer(claim: SignatureClaim, keys: Sequence[PublicKey]) -> PublicKey | None:
    """Return the key that verifies one of the signatures; raises Unproven without the package."""
    signed = (key for key in keys if public_keys.has_signed(key.key, claim.content, claim.public_signatures))
    return next(signed, None)

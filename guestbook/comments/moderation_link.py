"""The signed link in a message about a held comment. Anybody who has it may decide, without a login.

    /moderate/  comment's id  held since  expires  signature
                32 digits     12          12       32          all hexadecimal

Chat services and mail programs make links of bare URLs. The signature proves that a token is ours, so no
table lists them. A hold says whether one was used. A link works for one hold: a comment that is held again
gets a new one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from guestbook.lib import clock, ids, signed_links
from guestbook.lib.signed_links import ID_DIGITS, SIGNATURE_DIGITS, TIME_DIGITS

MODERATION_PATH = "/moderate"
MODERATION = "moderation"  # the purpose of the signature
MODERATION_TOKEN = re.compile(f"[0-9a-f]{{{ID_DIGITS + 2 * TIME_DIGITS + SIGNATURE_DIGITS}}}")


@dataclass(frozen=True, slots=True)
class SignedLink:
    """What a link says: which comment it is about, since when that was held, and when the link expires."""

    comment_id: str
    held_at: datetime
    expires_at: datetime

    def token(self, secret_key: str) -> str:
        """Return the last part of its URL."""
        times = (signed_links.digits(one) for one in (self.held_at, self.expires_at))
        return signed_links.sign("".join((self.comment_id, *times)), MODERATION, secret_key)

    def public(self, base_url: str, secret_key: str) -> dict[str, str]:
        """Return its part of a payload."""
        url = f"{base_url}{MODERATION_PATH}/{self.token(secret_key)}"
        return {"url": url, "expires_at": clock.to_text(self.expires_at)}


def read(token: str, secret_keys: Sequence[str]) -> SignedLink | None:
    """Return what a token says, also when it has expired; None if none of the keys has signed it."""
    if not MODERATION_TOKEN.fullmatch(token):
        return None
    signed = signed_links.unsign(token, MODERATION, secret_keys)
    if signed is None:
        return None
    times = signed[ID_DIGITS:]
    held_at, expires_at = ids.moment_of(times[:TIME_DIGITS]), ids.moment_of(times[TIME_DIGITS:])
    return SignedLink(signed[:ID_DIGITS], held_at, expires_at)

"""The secret part of a link to a receiver's page.

    /receiver/  link's id  expires  signature
                32 digits  12       32          all hexadecimal

The signature proves that a link is ours, also when its row is gone.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from guestbook.lib import ids, link_signature
from guestbook.lib.link_signature import ID_DIGITS, SIGNATURE_DIGITS, TIME_DIGITS

RECEIVER_PATH = "/receiver"
RECEIVER = "receiver"  # the purpose of the signature
RECEIVER_TOKEN = re.compile(f"[0-9a-f]{{{ID_DIGITS + TIME_DIGITS + SIGNATURE_DIGITS}}}")


class SignedReceiverLink(NamedTuple):
    """What a link says."""

    link_id: str
    expires_at: datetime


def of(link_id: str, expires_at: datetime, secret_key: str) -> str:
    """Return the token of a link."""
    return link_signature.sign(link_id + link_signature.digits(expires_at), RECEIVER, secret_key)


def read(token: str, secret_keys: Sequence[str]) -> SignedReceiverLink | None:
    """Return what a token says, also when its link no longer works; None if it is not ours."""
    if not RECEIVER_TOKEN.fullmatch(token):
        return None
    signed = link_signature.unsign(token, RECEIVER, secret_keys)
    return SignedReceiverLink(signed[:ID_DIGITS], ids.moment_of(signed[ID_DIGITS:])) if signed else None

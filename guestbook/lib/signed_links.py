"""The signature at the end of a link that works without a login, and the secret part of a receiver's link.

The signature proves that the link is ours; whether it still holds is for the caller to say.
"""

import hmac
import re
from collections.abc import Sequence
from datetime import datetime

from guestbook.lib import ids

ID_DIGITS = 32
SIGNATURE_DIGITS = 32  # 128 bits of HMAC-SHA256: nobody can guess them
TIME_DIGITS = 12  # the milliseconds since 1970


def sign(text: str, purpose: str, secret_key: str) -> str:
    """Return the text with its signature, which is good for that purpose alone."""
    return text + _signature(text, purpose, secret_key)


def unsign(token: str, purpose: str, secret_keys: Sequence[str]) -> str | None:
    """Return the text that was signed, or None if none of the keys has signed it."""
    text, signature = token[:-SIGNATURE_DIGITS], token[-SIGNATURE_DIGITS:].encode()
    expected = (_signature(text, purpose, key).encode() for key in secret_keys)
    return text if any(hmac.compare_digest(signature, one) for one in expected) else None


def digits(moment: datetime) -> str:
    """Return a time as a link has it; `ids.moment_of` reads it."""
    return ids.first_of(moment)[:TIME_DIGITS]


def _signature(text: str, purpose: str, secret_key: str) -> str:
    message = f"guestbook {purpose} link {text}"
    return hmac.new(secret_key.encode(), message.encode(), "sha256").hexdigest()[:SIGNATURE_DIGITS]


MAIL_PATH = "/mail"
CONFIRM, STOP = "confirm", "stop"  # what the links in an e-mail to a visitor do
MODERATION_PATH = "/moderate"
RECEIVER_PATH = "/receiver"
RECEIVER = "receiver"  # the purpose of the signature
RECEIVER_TOKEN = re.compile(f"[0-9a-f]{{{ID_DIGITS + TIME_DIGITS + SIGNATURE_DIGITS}}}")


def receiver_token(link_id: str, expires_at: datetime, secret_key: str) -> str:
    """Return the token of a link."""
    return sign(link_id + digits(expires_at), RECEIVER, secret_key)


def read_receiver_token(token: str, secret_keys: Sequence[str]) -> tuple[str, datetime] | None:
    """Return the link's id and when it expires, also when it no longer works; None if it is not ours."""
    if not RECEIVER_TOKEN.fullmatch(token):
        return None
    signed = unsign(token, RECEIVER, secret_keys)
    return (signed[:ID_DIGITS], ids.moment_of(signed[ID_DIGITS:])) if signed else None

"""The signature at the end of a link that works without a login. It proves that the link is ours.

It is hexadecimal: such digits are markup in no chat, and no punctuation at the end of a link can get lost.
"""

import hmac
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

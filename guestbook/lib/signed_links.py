"""The signature at the end of a link that works without a login, and the tokens of links about a row.

The signature proves that the link is ours; whether it still holds is for the caller to say.
"""

import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from guestbook.lib import ids

ID_DIGITS = 32
SIGNATURE_DIGITS = 32  # 128 bits of HMAC-SHA256: nobody can guess them
TIME_DIGITS = 12  # the milliseconds since 1970
DIGITS = re.compile("[0-9a-f]*")


def sign(text: str, purpose: str, secret_key: str) -> str:
    """Return the text with its signature, which is good for that purpose alone."""
    return text + _signature(text, purpose, secret_key)


def unsign(token: str, purpose: str, secret_keys: Sequence[str]) -> str | None:
    """Return the text that was signed, or None if none of the keys has signed it."""
    text, signature = token[:-SIGNATURE_DIGITS], token[-SIGNATURE_DIGITS:].encode()
    expected = (_signature(text, purpose, key).encode() for key in secret_keys)
    return text if any(hmac.compare_digest(signature, one) for one in expected) else None


def token_of(row_id: str, moments: Iterable[datetime], purpose: str, secret_key: str) -> str:
    """Return the end of a link about a row: its id, times and the signature, all hexadecimal."""
    return sign(row_id + "".join(ids.first_of(one)[:TIME_DIGITS] for one in moments), purpose, secret_key)


def read(
    token: str, purpose: str, secret_keys: Sequence[str], *, times: int
) -> tuple[str, list[datetime]] | None:
    """Return the id and so many times of a token, also of an expired one; None if no key has signed it."""
    is_whole = len(token) == ID_DIGITS + times * TIME_DIGITS + SIGNATURE_DIGITS
    signed = unsign(token, purpose, secret_keys) if is_whole and DIGITS.fullmatch(token) else None
    if signed is None:
        return None
    places = range(ID_DIGITS, len(signed), TIME_DIGITS)
    return signed[:ID_DIGITS], [ids.moment_of(signed[place:]) for place in places]


def _signature(text: str, purpose: str, secret_key: str) -> str:
    message = f"guestbook {purpose} link {text}"
    return hmac.new(secret_key.encode(), message.encode(), "sha256").hexdigest()[:SIGNATURE_DIGITS]


MAIL_PATH = "/mail"
CONFIRM, STOP = "confirm", "stop"  # what the links in an e-mail to a visitor do
MODERATION_PATH = "/moderate"
RECEIVER_PATH = "/receiver"
RECEIVER = "receiver"  # the purpose of the signature

"""A word that one admin page hands to the next by way of the browser: signed, and for this login alone.

It is signed, not encrypted, and it stands in addresses, which servers write down: seal what names a secret
(an id, a hash), never the secret itself.
"""

from flask import current_app, g
from itsdangerous import BadData, URLSafeSerializer

from guestbook.lib import clock

MAX_AGE = 120  # seconds


def seal(purpose: str, value: str) -> str:
    """Return the value in a form that fits into an address and that nobody else can make."""
    return _serializer(purpose).dumps([value, int(clock.now().timestamp())])


def unseal(purpose: str, text: str, *, max_age: int = MAX_AGE) -> str | None:
    """Return what was sealed for that purpose in this login; None when it is not so, or too old."""
    try:
        value, made = _serializer(purpose).loads(text)
    except (BadData, UnicodeError):
        return None
    age = abs(clock.now().timestamp() - made)  # of either sign, for two servers have two clocks
    return str(value) if age <= max_age else None


def _serializer(purpose: str) -> URLSafeSerializer:
    assert current_app.secret_key
    return URLSafeSerializer(current_app.secret_key, salt=f"admin {g.login.id} {purpose}")

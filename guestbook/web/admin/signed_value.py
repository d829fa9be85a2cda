"""A signed value that one admin page hands to the next through the browser, valid in this login only.

It is signed, not encrypted, and part of addresses, which servers log. So seal a name of a secret (an id, a
hash), never the secret itself.
"""

from flask import current_app, g
from itsdangerous import BadData, URLSafeSerializer

from guestbook.lib import clock

MAX_AGE = 120  # seconds


def seal(purpose: str, value: str) -> str:
    """Return the value signed, in a form that fits in an address."""
    return _serializer(purpose).dumps([value, int(clock.now().timestamp())])


def unseal(purpose: str, text: str, *, max_age: int = MAX_AGE) -> str | None:
    """Return the value sealed for that purpose in this login; None when it is forged or too old."""
    try:
        value, made = _serializer(purpose).loads(text)
    except (BadData, UnicodeError):
        return None
    age = abs(clock.now().timestamp() - made)  # two servers have two clocks, so it may be negative
    return str(value) if age <= max_age else None


def _serializer(purpose: str) -> URLSafeSerializer:
    assert current_app.secret_key
    return URLSafeSerializer(current_app.secret_key, salt=f"admin {g.login.id} {purpose}")

"""The signed token of the form: it proves that the form is ours and how old it is, without a cookie.

Its nonce makes a double click one comment. It does not prevent forged requests; nobody is logged in here.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta

from itsdangerous import BadSignature, URLSafeSerializer

from guestbook.comments.comment_form import Draft
from guestbook.lib import clock
from guestbook.lib.translatable import Translatable
from guestbook.web import current

MAX_AGE_SECONDS = 24 * 3600.0  # seconds
FORM_ERRORS = {
    "unknown": Translatable("The form was incomplete, so nothing was stored yet. Please send it again."),
    "expired": Translatable(
        "The form was open for more than a day, so nothing was stored yet. Please send it again."
    ),
}


class FormError(Exception):
    """The token is not one of ours (`unknown`) or too old (`expired`)."""

    def __init__(self, reason: str) -> None:
        super().__init__(FORM_ERRORS[reason])
        self.reason, self.sentence = reason, FORM_ERRORS[reason]


@dataclass(frozen=True, slots=True)
class Form:
    """A form that we sent."""

    nonce: str
    age: float | None  # seconds; None when the clock was set back

    def key(self, draft: Draft) -> str:
        """Return a key for this content of this form; other content is another comment."""
        content = json.dumps([self.nonce, *draft.values.values()])
        return hashlib.sha256(content.encode()).hexdigest()


def token(age: float = 0.0) -> str:
    """Return a new token; an age above zero is for a form that the visitor has read already."""
    return signed(current.signing_keys(), age)


def signed(keys: list[str], age: float = 0.0) -> str:
    """Return a new token, signed with the last key: outside a request."""
    made = clock.now() - timedelta(seconds=age)
    return _serializer(keys).dumps([secrets.token_urlsafe(12), int(made.timestamp() * 1000)])


def read(text: str) -> Form:
    """Return the form of the token; raises FormError."""
    try:
        nonce, made = _serializer(current.signing_keys()).loads(text)
    except BadSignature:
        raise FormError("unknown") from None
    age = clock.now().timestamp() - made / 1000
    if age > MAX_AGE_SECONDS:
        raise FormError("expired")
    return Form(nonce, age if age >= 0 else None)


def _serializer(keys: list[str]) -> URLSafeSerializer:
    # Not the timed one: it counts whole seconds, too coarse for a limit of three seconds.
    return URLSafeSerializer(keys, salt="guestbook form")

"""The cookie that takes the place of a receiver's link.

The link's address is a secret, which no later request has to carry. The cookie is for the pages of that link
alone, and ends after some hours. Its random part signs the forms, so no other site can send them.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from flask import request
from itsdangerous import BadData, URLSafeSerializer
from werkzeug.wrappers import Response

from guestbook.lib import clock
from guestbook.lib.signed_links import RECEIVER_PATH
from guestbook.web import request_context

RECEIVER_COOKIE = "guestbook_receiver"
COOKIE_LASTS = timedelta(hours=12)
COOKIE_SALT = "guestbook receiver"


@dataclass(frozen=True, slots=True)
class ReceiverCookie:
    """What the browser has got in place of the link."""

    link_id: str
    nonce: str

    @property
    def form_key(self) -> str:
        """Return what a form of this browser carries."""
        return self._form_keys()[0]

    def signs(self, form_key: str) -> bool:
        """Whether a form comes from a page that this browser has opened."""
        given = form_key.encode(errors="replace")
        return any(hmac.compare_digest(given, each.encode()) for each in self._form_keys())

    def seal(self, sentence: str) -> str:
        """Return a value for an address that lets the next page say the sentence."""
        return self._serializer().dumps(sentence)

    def unseal(self, value: str) -> str | None:
        """Return the sentence, or None if the value is not ours."""
        try:
            return str(self._serializer().loads(value))
        except (BadData, UnicodeError):
            return None

    def _form_keys(self) -> list[str]:
        """Return the key of its forms, and those that older secret keys make."""
        message = f"guestbook receiver form {self.link_id} {self.nonce}".encode()
        keys = request_context.settings().secret_keys
        return [hmac.new(key.encode(), message, "sha256").hexdigest() for key in keys]

    def _serializer(self) -> URLSafeSerializer:
        return URLSafeSerializer(request_context.signing_keys(), salt=f"{COOKIE_SALT} {self.form_key} said")


def give(response: Response, link_id: str) -> Response:
    """Give the browser a cookie for the pages of the link."""
    base = urlsplit(request_context.settings().base_url)
    value = _values().dumps([link_id, secrets.token_urlsafe(16), int(clock.now().timestamp())])
    response.set_cookie(
        RECEIVER_COOKIE,
        str(value),
        max_age=COOKIE_LASTS,
        path=f"{base.path}{RECEIVER_PATH}/{link_id}",
        secure=base.scheme == "https",
        httponly=True,
        samesite="Lax",  # a strict one would be missing where the link is opened from a chat
    )
    return response


def find(link_id: str) -> ReceiverCookie | None:
    """Return the browser's cookie for the pages of that link, or None."""
    try:
        match _values().loads(request.cookies.get(RECEIVER_COOKIE, "")):
            case [str(mine), str(nonce), int(given)] if mine == link_id:
                age = abs(clock.now().timestamp() - given)  # two servers have two clocks
                return ReceiverCookie(mine, nonce) if age <= COOKIE_LASTS.total_seconds() else None
    except (BadData, UnicodeError):
        pass
    return None


def _values() -> URLSafeSerializer:
    return URLSafeSerializer(request_context.signing_keys(), salt=COOKIE_SALT)

"""The owner in a browser without scripts."""

import base64
import hmac
import re
import struct
from typing import Any
from xml.etree.ElementTree import Element

from flask import Flask
from itsdangerous import URLSafeTimedSerializer
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from guestbook.auth import login, second_factor
from guestbook.lib import clock, ids
from guestbook.storage.database import writing
from guestbook.storage.models import BookState
from guestbook.web.admin.login import SESSION_KEY
from tests.support.visitor import Visitor, hrefs, parse, text

KEY = re.compile('<input type="hidden" name="csrf_token" value="([^"]+)">')
PASSWORD = "correct horse battery staple"
QUICK = generate_password_hash(PASSWORD, method="scrypt:128:1:1")  # as set_password stores it, but at once


class Owner(Visitor):
    """A visitor who knows the password, and sends forms as a browser would: with the key of the page."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        with app.app_context(), writing() as session:
            session.merge(BookState(name="password", value=QUICK))

    def be_logged_in(self) -> "Owner":
        """Have the cookie of a login without typing the password: most tests are about something else."""
        with self.app.app_context(), writing() as session:
            value = login.open_for(session, self.client.environ_base["HTTP_USER_AGENT"])
        with self.client.session_transaction("/admin/") as cookie:
            cookie.permanent = True
            cookie.update({SESSION_KEY: value, "csrf_token": ids.new()})  # as set_cookie and Flask-WTF do
        return self

    def log_in(self, password: str = PASSWORD, **how: object) -> TestResponse:
        return self.post("/admin/login", {"password": password}, "/admin/login", **how)

    def post(self, url: str, data: Any = None, on: str | None = None, **how: object) -> TestResponse:
        """Send a form to `url` with the key that the page `on` or any page gives out, and follow nothing."""
        return self.open("POST", url, data={"csrf_token": self.key(on), **(data or {})}, **how)

    def key(self, on: str | None = None) -> str:
        """Return the key that the page `on` gives out; without one, what each page of this login would."""
        if on is None and (known := self._key_of_login()):
            return known
        page = self.get(on or "/admin/account/")
        assert page.status_code == 200, page.status
        found = KEY.search(page.text)  # to parse a page takes longer than to make it
        assert found, page.text
        return found[1]

    def _key_of_login(self) -> str | None:
        """Sign what the cookie holds as Flask-WTF does: to make a page takes a hundred times as long."""
        with self.client.session_transaction("/admin/") as cookie:
            known = cookie.get("csrf_token")
        serializer = URLSafeTimedSerializer(self.app.secret_key or "", salt="wtf-csrf-token")
        return str(serializer.dumps(known)) if known else None

    def does(self, url: str, data: dict[str, object] | None = None, **how: object) -> Element:
        """Send a form that must be taken, and return the page that it leads to."""
        answer = self.post(url, data, **how)
        assert answer.status_code == 303, (answer.status, answer.text)
        return self.page(answer.headers["Location"])

    def inert(self, page: str | TestResponse) -> str:
        """See that nothing on a page with hostile words runs or hides; return its text."""
        answer = self.get(page) if isinstance(page, str) else page
        seen = parse(answer)
        assert all(one.attrib["src"].startswith("/static/") and not one.text for one in seen.iter("script"))
        for name in ("img[@src='x']", "main//b", "main//i"):
            assert not seen.findall(f".//{name}")
        assert not [link for link in hrefs(seen) if link == "None" or link.startswith("javascript")]
        return text(seen)

    def refused(self, url: str, data: dict[str, object] | None = None, **how: object) -> Element:
        """Send a form that must be refused with its reasons, and return the page that shows them."""
        answer = self.post(url, data, **how)
        assert answer.status_code == 422, (answer.status, answer.headers.get("Location"))
        return parse(answer)


# --- the owner's authenticator app, made of the formulas of RFC 4226 and RFC 6238 alone

APP_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # the 20 bytes of RFC 6238, appendix B, in base32


def code_of(secret: str, steps: int = 0) -> str:
    """Return the code that an app shows now, or as many time steps later."""
    return code_at(secret, int(clock.now().timestamp()) // 30 + steps)


def code_at(secret: str, step: int) -> str:
    """Return the code of a time step (RFC 4226 section 5.3)."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 0xF
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def keep_second_factor() -> list[str]:
    """Turn the second factor on with the code before the present one; return the recovery codes."""
    with writing() as session:
        return second_factor.set_up(session, APP_SECRET, code_of(APP_SECRET, -1), clock.now())


def turn_second_factor_on(app: Flask) -> list[str]:
    """Do so where no context is around the test."""
    with app.app_context():
        return keep_second_factor()

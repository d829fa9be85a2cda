"""The owner in a browser without scripts."""

import re
from xml.etree.ElementTree import Element

from flask import Flask
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from guestbook.storage.database import writing
from guestbook.storage.models import Setting
from tests.support.visitor import Visitor

KEY = re.compile('<input type="hidden" name="csrf_token" value="([^"]+)">')
PASSWORD = "correct horse battery staple"
QUICK = generate_password_hash(PASSWORD, method="scrypt:128:1:1")  # as set_password stores it, but at once


class Owner(Visitor):
    """A visitor who knows the password, and sends forms as a browser would: with the key of the page."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        with app.app_context(), writing() as session:
            session.merge(Setting(name="password", value=QUICK))

    def log_in(self, password: str = PASSWORD, **how: object) -> TestResponse:
        return self.post("/admin/login", {"password": password}, "/admin/login", **how)

    def post(
        self, url: str, data: dict[str, object] | None = None, on: str = "/admin/account/", **how: object
    ) -> TestResponse:
        """Send a form to `url` with the key that the page `on` gives out, and follow nothing."""
        return self.open("POST", url, data={"csrf_token": self.key(on), **(data or {})}, **how)

    def key(self, on: str = "/admin/account/") -> str:
        page = self.get(on)
        assert page.status_code == 200, page.status
        found = KEY.search(page.text)  # to parse a page takes longer than to make it
        assert found, page.text
        return found[1]

    def does(self, url: str, data: dict[str, object] | None = None, **how: object) -> Element:
        """Send a form that must be taken, and return the page that it leads to."""
        answer = self.post(url, data, **how)
        assert answer.status_code == 303, (answer.status, answer.text)
        return self.page(answer.headers["Location"])

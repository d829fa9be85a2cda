"""A program that uses the API, with a token or without one."""

from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from guestbook.auth import api_tokens
from guestbook.storage import row_changes
from guestbook.storage.models import Token
from tests.support import factories

PLACE = "/api/v1"
NOBODY = "0" * 32


class ApiClient:
    """Sends JSON, and reads what comes back."""

    def __init__(self, app: Flask, token: str | None = None) -> None:
        self.app = app
        self.client = app.test_client()
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method: str, path: str, body: object = None, **how: Any) -> TestResponse:
        """Send a request to a path of the API, or to a whole address such as the one of a next page."""
        sent = {"json": body} if body is not None else {}
        url = path if path.startswith("http") else PLACE + path
        headers = self.headers | how.pop("headers", {})
        return self.client.open(url, method=method, headers=headers, **sent, **how)

    def get(self, path: str, status: int = 200) -> Any:
        return self._expect(status, "GET", path)

    def post(self, path: str, body: object = None, status: int = 201) -> Any:
        return self._expect(status, "POST", path, body)

    def patch(self, path: str, body: object, status: int = 200) -> Any:
        return self._expect(status, "PATCH", path, body)

    def delete(self, path: str, status: int = 204) -> None:
        self._expect(status, "DELETE", path)

    def refused(self, method: str, path: str, body: object = None) -> dict[str, str]:
        """Return the fields of a request that must be refused."""
        return self._expect(422, method, path, body)["error"]["fields"]

    def _expect(self, status: int, method: str, path: str, body: object = None) -> Any:
        answer = self.ask(method, path, body)
        assert answer.status_code == status, (answer.status, answer.text)
        return answer.get_json() if answer.text else None


def new_token(name: str = "a program", **how: Any) -> str:
    """Add a token and return its value."""
    free = factories.written(lambda session: row_changes.free_name(session, Token, name))
    return factories.written(lambda session: api_tokens.add(session, free, **how)[1])

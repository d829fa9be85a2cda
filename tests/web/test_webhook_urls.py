"""A webhook's URL gets the same judgement from the command, the form in the admin pages and the API."""

import json
import socket
import sqlite3
from typing import Any

import pytest
from flask import Flask

from tests.conftest import running
from tests.support.api_client import ApiClient, new_token
from tests.support.owner import Owner
from tests.support.visitor import parse, text
from tests.support.webhook_pages import PLACE, form, part

GOOD = (
    ("HTTPS://Example.Org", "https://example.org/"),
    ("https://B\u00fccher.example/\u00fc", "https://xn--bcher-kva.example/%C3%BC"),
    ("https://[::ffff:8.8.8.8]/", "https://[::ffff:808:808]/"),
    ("http://127.1:9000/", "http://127.1:9000/"),  # the tests allow 127.0.0.0/8
)
BAD = (
    ("", "missing"),
    ("example.org", "start with"),
    ("https://example.org/#top", "fragment"),
    ("http://10.0.0.1/", "GUESTBOOK_ALLOW_NETWORKS"),
    ("http://0x0a.1/", "GUESTBOOK_ALLOW_NETWORKS"),
    ("http://[::ffff:10.0.0.1]/", "GUESTBOOK_ALLOW_NETWORKS"),
    ("http://[64:ff9b::10.0.0.1]/", "GUESTBOOK_ALLOW_NETWORKS"),
    ("http://\uff11\uff10\u30020\u30020\u30021/", "GUESTBOOK_ALLOW_NETWORKS"),
)
WARNING = "inner.example leads to 10.0.0.1, a private or reserved address"


class Doors:
    """The command, the form and the API of one book."""

    def __init__(self, app: Flask) -> None:
        self.runner, self.owner = app.test_cli_runner(), Owner(app)
        assert self.owner.log_in().status_code == 303
        self.program = ApiClient(app, new_token())

    def add(self, url: str) -> list[tuple[str, str]]:
        """Add a webhook by each; return the URL that it has, or why it was refused, and the warning."""
        return [self._by_command(url), self._by_form(url), self._by_program(url)]

    def _by_command(self, url: str) -> tuple[str, str]:
        done = self.runner.invoke(args=["webhooks", "add", "--json", "--", url])
        if done.exit_code:
            return done.stderr.removeprefix("Error: ").strip(), ""
        return json.loads(done.stdout)["url"], done.stderr.removeprefix("Warning: ").strip()

    def _by_form(self, url: str) -> tuple[str, str]:
        answer = self.owner.post(PLACE, form(self.owner, url=url))
        if answer.status_code == 422:
            return part(parse(answer), "url-reason"), ""
        page = self.owner.page(answer.headers["Location"])
        notices = [text(one) for one in page.iter("p") if one.attrib.get("role") == "status"]
        warnings = [one.removeprefix("Warning: ") for one in notices if one.startswith("Warning: ")]
        newest = self.program.get("/webhooks")["webhooks"][0]
        return newest["url"], " ".join(warnings)

    def _by_program(self, url: str) -> tuple[str, str]:
        answer = self.program.ask("POST", "/webhooks", {"url": url}).get_json()
        if "error" in answer:
            return answer["error"]["fields"]["url"], ""
        return answer["url"], " ".join(answer["warnings"])


@pytest.fixture
def doors(app: Flask) -> Doors:
    return Doors(app)


def test_a_good_url_is_taken_alike_by_command_form_and_api(doors: Doors) -> None:
    for url, normal in GOOD:
        assert doors.add(url) == [(normal, "")] * 3


def test_a_bad_url_is_refused_alike_by_command_form_and_api(doors: Doors) -> None:
    for url, word in BAD:
        by_command, by_form, by_program = doors.add(url)
        assert by_command == by_form == by_program
        assert word in by_command[0]


def test_a_name_leading_inside(
    doors: Doors, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", inside(environ))
    for url, warning in doors.add("http://inner.example/"):
        assert url == "http://inner.example/"
        assert warning.startswith(WARNING)
    row = doors.program.post("/webhooks", {"url": "https://outer.example/", "disabled": True})
    place = f"/webhooks/{row['id']}"
    assert doors.program.patch(place, {"name": "Still"})["warnings"] == []
    [warning] = doors.program.patch(place, {"url": "http://inner.example/"})["warnings"]
    assert warning.startswith(WARNING)
    done = doors.runner.invoke(args=["webhooks", "update", row["id"], "--url", "http://inner.example/"])
    assert done.stderr.startswith(f"Warning: {WARNING}")


def inside(environ: dict[str, str]) -> Any:
    """A look-up of names that finds a private address for some, and the database free to be written."""
    file = environ["GUESTBOOK_DATABASE_URL"].removeprefix("sqlite:///").partition("?")[0]

    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        if environ["GUESTBOOK_DATABASE_URL"].startswith("sqlite"):
            with sqlite3.connect(file, timeout=0) as other:
                other.execute("BEGIN IMMEDIATE")
        found = "10.0.0.1" if host == "inner.example" else "1.1.1.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, 0))]

    return look_up


def test_a_proxy_looks_names_up_itself(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    lookups: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **_: lookups.append(given) or [])
    with running({**environ, "GUESTBOOK_OUTBOUND_PROXY": "http://proxy.example:3128"}) as app:
        assert Doors(app).add("http://inner.example/") == [("http://inner.example/", "")] * 3
    assert lookups == []

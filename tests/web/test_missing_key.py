"""A web server whose secret key is missing: readers read, nothing is stored, and a code puts the key back."""

import stat
from collections.abc import Iterator
from pathlib import Path

import html5lib
import pytest
import requests

from tests.conftest import running, settings_for
from tests.support import factories
from tests.support.forks import Forks
from tests.support.owner import Owner
from tests.support.visitor import GREETING, fields, plain

DOOR = "/admin/setup/"


@pytest.fixture
def key(tmp_path: Path, environ: dict[str, str]) -> str:
    """The key of a book with a webhook and a password; its file has gone."""
    with running(environ) as app:
        Owner(app)
        with app.app_context():
            factories.webhook()
            factories.sign()
    found = (tmp_path / "secret_key").read_text()
    (tmp_path / "secret_key").unlink()
    return found


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The settings of a book with its key in the data folder."""
    environ = settings_for(tmp_path, f"sqlite:///{tmp_path}/guestbook.db")
    del environ["GUESTBOOK_SECRET_KEY"]
    return environ | {"GUESTBOOK_SEND_AFTER_REQUESTS": "true"}


@pytest.fixture
def address(key: str, environ: dict[str, str], forks: Forks) -> Iterator[str]:  # noqa: ARG001  it comes first
    with forks.serving(environ) as (address, _):
        yield address


@pytest.fixture
def page(address: str, tmp_path: Path) -> str:
    """The page behind the code."""
    assert requests.get(f"{address}{DOOR}", timeout=30).status_code == 200
    file = tmp_path / "setup-code.txt"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    code = file.read_text().split()[0]
    answer = requests.post(f"{address}{DOOR}", {"code": code}, timeout=30)
    assert answer.url == f"{address}{DOOR}{code}/key"
    return answer.url


def parsed(answer: requests.Response) -> str:
    return plain(html5lib.parse(answer.text, namespaceHTMLElements=False))


def test_readers_read_and_nothing_is_stored_and_no_text_is_lost(
    address: str, environ: dict[str, str], forks: Forks
) -> None:
    front = requests.get(f"{address}/", timeout=30)
    assert (front.status_code, "Hello" in front.text) == (200, True)
    form = fields(html5lib.parse(front.text, namespaceHTMLElements=False))
    sent = requests.post(f"{address}/comments", form | GREETING | {"message": "My words"}, timeout=30)
    assert (sent.status_code, "My words" in sent.text) == (503, True)
    health = requests.get(f"{address}/healthz", timeout=30)
    assert (health.status_code, health.json()["status"]) == (503, "secret key is missing")
    api = requests.post(f"{address}/api/v1/comments", json={"name": "Ada", "message": "Hi"}, timeout=30)
    assert (api.status_code, api.json()["error"]["code"]) == (503, "service_unavailable")
    for path in ("/admin/", "/admin/login", "/admin/webhooks/"):
        admin = requests.get(f"{address}{path}", timeout=30)
        assert admin.status_code == 503
        assert "The secret key is missing" in admin.text
        assert f'href="{DOOR}"' in admin.text
    assert "My words" not in requests.get(f"{address}/", timeout=30).text
    refused = forks.start(environ, "cron")
    assert (refused.wait(), "There is no secret key" in refused.printed) == (1, True)


def test_only_the_right_key_is_taken_and_then_the_book_goes_on(
    address: str, page: str, key: str, tmp_path: Path
) -> None:
    shown = parsed(requests.get(page, timeout=30))
    assert "the secrets of 1 webhook" in shown
    for wrong in ("", "short", "x" * 64):
        assert requests.post(page, {"key": wrong}, timeout=30).status_code == 422
    code = page.removesuffix("/key").rpartition("/")[2]
    for other in (page.replace(code, "0" * 32), page.replace(code, "x")):
        assert requests.get(other, timeout=30).status_code == 410
        assert requests.post(other, {"key": key}, timeout=30).status_code == 410
    for closed in ("", "/tables", "/restore", "/room"):
        answer = requests.post(f"{page.removesuffix('/key')}{closed}", {"backup": "x"}, timeout=30)
        assert answer.status_code == 503
    assert not (tmp_path / "secret_key").exists()

    answer = requests.post(page, {"key": f" {key} "}, timeout=30)
    assert (answer.status_code, "The secret key is back" in answer.text) == (200, True)
    assert (tmp_path / "secret_key").read_text() == key
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert not (tmp_path / "setup-code.txt").exists()
    login = requests.get(f"{address}/admin/login", timeout=30)
    assert (login.status_code, "Log in" in login.text) == (200, True)
    assert requests.get(page, timeout=30).status_code == 410


def test_a_copy_of_the_file_is_enough(address: str, key: str, tmp_path: Path) -> None:
    assert requests.get(f"{address}/admin/login", timeout=30).status_code == 503
    (tmp_path / "secret_key").write_text(key)
    assert requests.get(f"{address}/admin/login", timeout=30).status_code == 200


def test_a_lost_key_gets_a_successor(address: str, page: str, key: str, tmp_path: Path) -> None:
    answer = requests.post(page, {"lost": "yes"}, timeout=30)
    assert (answer.status_code, "The book has a new secret key" in answer.text) == (200, True)
    fresh = (tmp_path / "secret_key").read_text()
    assert (len(fresh), fresh != key) == (64, True)
    assert requests.get(f"{address}/admin/login", timeout=30).status_code == 200

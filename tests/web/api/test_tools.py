"""The document as the tools of others read it: two linters, a validator, and what makes clients of it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from guestbook.web.api import openapi
from tests.conftest import run
from tests.support.api_client import NOBODY
from tests.system.interop import npm

GENERATE = str(Path(sys.executable).with_name("openapi-python-client"))
VALIDATE = str(Path(sys.executable).with_name("openapi-spec-validator"))


@pytest.fixture
def written(tmp_path: Path) -> str:
    """The document in a file, in ASCII, so that each character outside is an escape."""
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(openapi.build("https://book.example/api/v1")))
    return str(path)


def test_the_validator_of_openapi_finds_nothing(written: str) -> None:
    done = run(VALIDATE, written)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.needs("npm-packages")
def test_the_linter_of_redocly_and_ajv_find_nothing(written: str) -> None:
    folder = npm.installed()
    assert folder
    done = subprocess.run(["node", "openapi.mjs", written], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["schemas"] > 40
    assert printed["said"] == []


@pytest.fixture
def made(
    written: str, served: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator["Made"]:
    """A client of the served book that openapi-python-client has made of the document."""
    (tmp_path / "config.yml").write_text("post_hooks: []\n")
    options = ("--meta", "none", "--config", str(tmp_path / "config.yml"))
    place = str(tmp_path / "made_client")
    done = run(GENERATE, "generate", "--path", written, "--output-path", place, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Made("made_client", *served)
    yield made
    made.client.get_httpx_client().close()


class Made:
    """The client, its calls and what they take by their names."""

    def __init__(self, package: str, address: str, token: str) -> None:
        self.package = package
        client: Any = import_module(package)
        self.client = client.AuthenticatedClient(
            base_url=f"{address}/api/v1", token=token, raise_on_unexpected_status=True
        )

    def call(self, module: str, *path: str, body: Any = None, **how: Any) -> Any:
        """Make a call that must be answered as the document says, and return what the client makes of it."""
        made: Any = import_module(f"{self.package}.api.{module}")
        if body is not None:
            name, fields = body
            models: Any = import_module(f"{self.package}.models")
            how["body"] = getattr(models, name).from_dict(fields)
        return made.sync(*path, client=self.client, **how)


def test_a_client_that_is_made_of_it_works_for_ten_calls(made: Made) -> None:
    greeting = {"name": "Ada", "message": "Hello", "website": "bücher.example"}
    comment = made.call("comments.create_comment", body=("NewComment", greeting))
    assert (comment.name, comment.website, comment.status) == ("Ada", "https://bücher.example", "published")
    answer = ("CommentChanges", {"reply": "Welcome"})
    assert made.call("comments.update_comment", comment.id, body=answer).reply.message == "Welcome"
    listed = made.call("comments.list_comments", limit=1)
    assert [row.id for row in listed.comments] == [comment.id]
    wanted = {"url": "https://receiver.example/hook", "events": ["ping"]}
    webhook = made.call("webhooks.create_webhook", body=("NewWebhook", wanted))
    assert webhook.secret.startswith("whsec_")
    ping = made.call("webhooks.test_webhook", webhook.id)
    assert made.call("deliveries.get_delivery", ping.id).payload.startswith('{"type":"ping"')
    [delivery] = made.call("deliveries.list_deliveries", webhook=webhook.id).deliveries
    assert (delivery.id, delivery.status, delivery.last_error) == (ping.id, "new", None)
    assert made.call("inbox.list_inbound_events").inbound_events[0].error == "The body is not UTF-8."
    missing = made.call("comments.get_comment", NOBODY)
    assert (missing.error.code, type(missing).__name__) == ("not_found", "Error")
    wrong = ("WebhookChanges", {"name": " "})
    refused = made.call("webhooks.update_webhook", webhook.id, body=wrong)
    assert refused.error.fields["name"] == "The name must have 1 to 80 characters."
    assert made.call("webhooks.delete_webhook", webhook.id) is None

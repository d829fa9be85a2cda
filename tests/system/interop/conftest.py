"""A book whose retries come at once, and the folder of the packages from npm."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from guestbook.lib import ids
from tests.conftest import need
from tests.support import inbound_factories
from tests.system.interop import npm


def add_source(verify: str, secret: str, action: str = "log", template: str | None = None) -> str:
    """Add a source and return its address."""
    token, name = ids.new(), f"{verify} {action}"
    columns = {"verify": verify, "secret": secret, "action": action, "template": template}
    inbound_factories.source(token, name=name, **columns)
    return f"/hooks/{token}"


def post(client: FlaskClient, address: str, headers: Mapping[str, str], body: bytes) -> None:
    """Send a webhook to a source, which must be accepted."""
    headers = {"Content-Type": "application/json", **headers}
    answer = client.post(address, headers=headers, data=body)
    assert answer.status_code == 202, answer.text


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return {**environ, "GUESTBOOK_RETRY_SCHEDULE": "0,0"}


@pytest.fixture
def packages() -> Path:
    """The folder where Node finds the packages, with our programs that use them."""
    need("npm-packages")
    folder = npm.installed()
    assert folder
    return folder

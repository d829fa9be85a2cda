"""What packages that nobody here wrote sign is believed by our inbox, and nothing else is."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook as Signer

from guestbook.lib import signatures
from tests.conftest import run
from tests.support import factories, inbound_factories
from tests.system.interop import npm
from tests.system.interop.conftest import add_source, post

SECRET, OTHER_SECRET = signatures.new_secret(), signatures.new_secret()
BODY = '{"type":  "thing.made",\n "data": {"name": "Zoë 🦋", "text": "\\u2028 <b>"}}'
EVENT_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"

Sign = Callable[[str, int, str], str]  # secret, unix seconds, body → the header's value


def by_python(secret: str, seconds: int, body: str) -> str:
    return Signer(secret).sign(EVENT_ID, datetime.fromtimestamp(seconds, UTC), body)


def by_node(kind: str) -> Sign:
    """Sign with a package of npm."""

    def sign(secret: str, seconds: int, body: str) -> str:
        wanted = json.dumps({"secret": secret, "id": EVENT_ID, "seconds": seconds, "body": body})
        done = run("node", "signer.mjs", kind, cwd=npm.installed(), input=wanted)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return sign


ON_NPM = pytest.mark.needs("npm-packages")


class Sender:
    """Signs with a package of others and names the headers as its users do."""

    def __init__(self, verify: str, sign: Sign) -> None:
        self.verify = verify
        self._sign = sign

    def headers(self, *secrets: str, seconds: int | None = None, body: str = BODY) -> dict[str, str]:
        now = int(time.time()) if seconds is None else seconds
        signature = " ".join(self._sign(secret, now, body) for secret in secrets)
        if self.verify == "github":
            names = {"X-GitHub-Event": "thing", "X-GitHub-Delivery": EVENT_ID}
            return {**names, "X-Hub-Signature-256": signature}
        return {"webhook-id": EVENT_ID, "webhook-timestamp": str(now), "webhook-signature": signature}


@pytest.fixture(
    params=[
        pytest.param(("standard", by_python), id="standardwebhooks-pypi"),
        pytest.param(("standard", by_node("standard")), id="standardwebhooks-npm", marks=ON_NPM),
        pytest.param(("github", by_node("github")), id="octokit-npm", marks=ON_NPM),
    ]
)
def sender(request: pytest.FixtureRequest) -> Sender:
    return Sender(*request.param)


def test_what_a_package_of_others_signs_is_believed(client: FlaskClient, sender: Sender) -> None:
    token = add_source(sender.verify, SECRET)
    post(client, token, sender.headers(SECRET), BODY.encode())
    factories.run_pass()
    row = inbound_factories.row()
    assert (row.status, row.error, row.external_id) == ("processed", None, EVENT_ID)
    assert row.event == ("thing" if sender.verify == "github" else "thing.made")


def test_another_secret_or_body_is_not_believed(client: FlaskClient, sender: Sender) -> None:
    token = add_source(sender.verify, SECRET)
    post(client, token, sender.headers(OTHER_SECRET), BODY.encode())
    post(client, token, sender.headers(SECRET), BODY.replace("Zoë", "Joe").encode())
    factories.run_pass()
    first, second = inbound_factories.rows()
    assert [first.status, second.status] == ["failed", "failed"]
    assert "secret" in first.error


@pytest.mark.parametrize("sender", [("standard", by_python)], indirect=True)
def test_two_signatures_are_believed_while_the_secret_changes_and_an_old_one_is_not(
    client: FlaskClient, sender: Sender
) -> None:
    token, old = add_source("standard", SECRET), int(time.time()) - 3600
    post(client, token, sender.headers(OTHER_SECRET, SECRET), BODY.encode())
    post(client, token, sender.headers(SECRET, seconds=old), BODY.encode())
    factories.run_pass()
    assert [row.status for row in inbound_factories.rows()] == ["processed", "failed"]

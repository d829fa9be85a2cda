"""A delivery as a curl command: the receiver verifies what it sends."""

import html
import re
import subprocess

from standardwebhooks import Webhook as Verifier

from guestbook.lib import clock
from guestbook.storage.models import Webhook
from tests.support import factories
from tests.support.owner import Owner
from tests.support.receiver import Receiver

LIST = "/admin/deliveries/"
COMMAND = re.compile(r'tabindex="0" id="command">(.*?)</pre>', re.DOTALL)


def commands(owner: Owner, row_id: str) -> list[str]:
    return [html.unescape(found) for found in COMMAND.findall(owner.get(LIST + row_id).text)]


def test_the_command_sends_what_the_next_attempt_would(owner: Owner, receiver: Receiver) -> None:
    hook = factories.webhook(receiver.url(), headers={"Authorization": "Bearer their-token"})
    factories.sign("It's $HOME 🎈\n`id`")
    [row] = factories.deliveries()
    secret = factories.the(Webhook, hook).secret
    [line] = commands(owner, row.id)
    assert "their-token" not in line
    assert secret not in line
    subprocess.run(["sh", "-c", line], check=True, timeout=20, capture_output=True)
    [request] = receiver.requests
    assert request.body == row.payload.encode()
    assert Verifier(secret).verify(request.body, request.headers)
    assert request.headers["x-guestbook-event"] == "comment.created"
    assert request.headers["authorization"] == "(hidden)"


def test_what_is_no_plain_request_or_cannot_be_signed_has_none(owner: Owner) -> None:
    hooks = [factories.webhook("mailto:ada@example.org", format="email"), factories.webhook("pull:")]
    hooks += [factories.webhook("https://book.example/", format="webmention")]
    hooks += [factories.webhook(secret="garbled")]
    rows = [factories.delivery(hook) for hook in hooks]
    rows.append(factories.delivery(factories.webhook(), status="failed", erased_at=clock.now()))
    assert [commands(owner, row_id) for row_id in rows] == [[]] * len(rows)


def test_what_signs_the_webhook_signs_the_command(owner: Owner) -> None:
    hook = factories.webhook()
    factories.written(lambda session: session.get_one(Webhook, hook).use_for_signing("key"))
    delivery = factories.delivery(hook)
    [line] = commands(owner, delivery)
    assert "v1a," in line
    assert "X-Hub-Signature-256" not in line

"""deliveries explain: the same steps and words as the page, and no secret."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from guestbook.lib import clock, signatures
from guestbook.storage.models import Webhook
from tests.cli.conftest import Shell
from tests.support import factories
from tests.support.owner import Owner
from tests.support.receiver import Answer, Receiver
from tests.support.visitor import plain

SECRET = signatures.new_secret()


@pytest.fixture
def failing(shell: Shell, receiver: Receiver) -> tuple[str, Receiver]:  # noqa: ARG001  it makes the book
    """A delivery that was refused twice."""
    receiver.answer("/", Answer(401), Answer(401))
    factories.webhook(receiver.url(), name="Mine", secret=SECRET)
    factories.sign("Grüße 🎈")
    factories.run_pass()
    factories.all_due()
    factories.run_pass()
    return factories.one().id, receiver


def test_the_steps_lead_to_what_was_sent(shell: Shell, failing: tuple[str, Receiver]) -> None:
    key, receiver = failing
    for number, request in enumerate(receiver.requests, 1):
        said = shell("deliveries", "explain", key, "--attempt", str(number))
        stamp = request.headers["webhook-timestamp"]
        lines = said.splitlines()
        assert f"This is how attempt {number} of " in lines[0]
        assert f"{request.event_id}.{stamp}.{request.body.decode()}" in lines
        assert f"webhook-signature: {request.headers['webhook-signature']}" in lines
        assert f"X-Hub-Signature-256: {request.headers['x-hub-signature-256']}" in lines
        found = shell.json("deliveries", "explain", key, "--attempt", str(number))
        assert found["webhook_signature"] == request.headers["webhook-signature"]
        assert (found["attempt"], found["timestamp"]) == (number, int(stamp))
        assert found["payload"] == request.body.decode()
    assert shell("deliveries", "explain", key) == said
    assert SECRET.removeprefix("whsec_") not in said


def test_it_says_what_the_page_says(app: Flask, shell: Shell, failing: tuple[str, Receiver]) -> None:
    (key, _), owner = failing, Owner(app).be_logged_in()
    row = factories.rows(Webhook)[0]
    pair = signatures.new_key()
    changes = {"previous_secret": signatures.new_secret(), "previous_secret_expires_at": clock.now()}
    for values in ({}, changes, {"signing_key": pair}, {"secret": "It's a Secret to Everybody"}):
        factories.alter(Webhook, row.id, **values)
        page = " ".join(plain(owner.page(f"/admin/deliveries/{key}/explain")).split())
        said = shell("deliveries", "explain", key).partition("A program that checks it")[0]
        for line in said.replace("`", "").splitlines()[1:]:
            words = re.sub(r"^[0-9]\. ", "", " ".join(line.split()))
            # Times are written in another way there.
            assert "until" in words or words in page, line


def test_its_program_verifies_the_delivery(
    shell: Shell, failing: tuple[str, Receiver], tmp_path: Path
) -> None:
    program = tmp_path / "verify.py"
    program.write_text(shell("deliveries", "explain", failing[0], "--program", "python"), encoding="utf-8")
    env = {"PATH": os.environ["PATH"], "WEBHOOK_SECRET": SECRET}
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, env=env)
    assert (done.returncode, done.stdout) == (0, "valid\n")


def test_show_and_doctor_name_it_where_a_delivery_fails(shell: Shell, failing: tuple[str, Receiver]) -> None:
    key, _ = failing
    named = f"deliveries explain {key}"
    assert named in shell("deliveries", "show", key)
    assert named in shell.result("doctor").stdout
    sent = factories.delivery(factories.webhook(), status="processed")
    chat = factories.webhook("https://hooks.slack.com/services/T/B/x", format="slack")
    refused = factories.delivery(chat, status="failed", last_error="The receiver answered 404.")
    for other in (sent, refused):
        assert "deliveries explain" not in shell("deliveries", "show", other)


def test_what_cannot_be_explained_is_refused_in_a_sentence(
    shell: Shell, failing: tuple[str, Receiver]
) -> None:
    key, _ = failing
    assert "This delivery has no attempt 3." in shell.refused("deliveries", "explain", key, "--attempt", "3")
    [row] = factories.rows(Webhook)
    factories.alter(Webhook, row.id, secret="typed by hand")
    said = shell.refused("deliveries", "explain", key)
    assert "is invalid" in said
    assert f"webhooks rotate-secret {row.id}" in said
    pair = signatures.new_key()
    factories.alter(Webhook, row.id, secret=SECRET, signing_key=pair, key_only_since=clock.now())
    assert "Only a key signs" in shell.refused("deliveries", "explain", key, "--program", "php")
    erased = factories.delivery(row.id, status="failed", erased_at=clock.now(), payload="")
    assert shell.refused("deliveries", "explain", erased).startswith("Error: ")
    waiting = factories.delivery(factories.webhook(name="two"))
    assert "this delivery, if sent now, is signed" in shell("deliveries", "explain", waiting)

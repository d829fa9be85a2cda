"""Receivers that nobody here wrote take what we send, and refuse it when their secret is another."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from guestbook.background import cron
from guestbook.lib import clock, signing
from tests.support import processes
from tests.support.book import Book
from tests.support.receiver import Receiver

MESSAGE = "Grüße aus Görlitz & <b>Łódź</b> 🦋\u2028\nשלום 'x' \\ $(id)"
SECRET, OTHER_SECRET = signing.new_secret(), signing.new_secret()


def send(book: Book, url: str, secret: str = SECRET, **columns: Any) -> None:
    """Somebody signs the book, whose webhook has that URL, and cron comes."""
    book.webhook(url, secret=secret, **columns)
    book.sign(MESSAGE)
    cron.run(book.engine, book.settings, cron.Options())


def answers(book: Book) -> Sequence[int]:
    """What the receiver answered, attempt by attempt."""
    return [attempt.status_code for attempt in book.attempts()]


# --- adnanh/webhook, the package `webhook` of Debian


@contextmanager
def webhook_running(folder: Path, **more: object) -> Iterator[str]:
    """Run Debian's webhook with a hook that writes the body of what it believes to a file; give its URL."""
    command, hooks, port = folder / "command", folder / "hooks.json", processes.free_port()
    command.write_text('#!/bin/sh\nprintf %s "$1" >believed\n')
    command.chmod(0o755)
    hooks.write_text(json.dumps([hook(command) | more]))
    options = ["-verbose", "-ip", "127.0.0.1", "-port", str(port), "-hooks", str(hooks)]
    with processes.started(["webhook", *options], cwd=folder) as program:
        processes.wait_for(lambda: processes.answers(f"http://127.0.0.1:{port}/"), 10, program.output)
        yield f"http://127.0.0.1:{port}/hooks/guestbook"


def hook(command: Path) -> dict[str, object]:
    believes = {
        "type": "payload-hmac-sha256",
        "secret": SECRET,
        "parameter": {"source": "header", "name": "X-Hub-Signature-256"},
    }
    return {
        "id": "guestbook",
        "execute-command": str(command),
        "command-working-directory": str(command.parent),
        "include-command-output-in-response": True,  # so it answers when the command is through
        "pass-arguments-to-command": [{"source": "raw-request-body"}],
        "trigger-rule": {"match": believes},
    }


@pytest.mark.needs("webhook")
def test_debians_webhook_runs_its_command_with_the_body_that_we_sent(book: Book, tmp_path: Path) -> None:
    with webhook_running(tmp_path) as url:
        send(book, url)
    assert (book.delivery().status, answers(book)) == ("processed", [200])
    assert (tmp_path / "believed").read_bytes() == book.delivery().payload.encode()


@pytest.mark.needs("webhook")
@pytest.mark.parametrize("more", [{}, {"trigger-rule-mismatch-http-response-code": 403}])
def test_debians_webhook_with_another_secret_runs_nothing_and_gets_it_again(
    book: Book, tmp_path: Path, more: dict[str, object]
) -> None:
    with webhook_running(tmp_path, **more) as url:
        send(book, url, OTHER_SECRET)
    # A signature that is wrong is an error to it; that status is for rules that are merely not met.
    assert (book.delivery().status, answers(book)) == ("failed", [500, 500])
    assert not (tmp_path / "believed").exists()


# --- the packages of Standard Webhooks and of GitHub's Octokit


def test_the_package_from_pypi_believes_what_arrives_and_only_that(book: Book, receiver: Receiver) -> None:
    send(book, receiver.url())
    (request,) = receiver.requests
    assert Verifier(SECRET).verify(request.body, request.headers)["data"]["comment"]["message"] == MESSAGE
    for secret, body in ((OTHER_SECRET, request.body), (SECRET, request.body + b" ")):
        with pytest.raises(WebhookVerificationError):
            Verifier(secret).verify(body, request.headers)


@contextmanager
def node_running(folder: Path, kind: str) -> Iterator[str]:
    """Run receiver.mjs with SECRET; give its URL."""
    with processes.started(["node", "receiver.mjs", kind, SECRET], cwd=folder) as program:
        said = processes.wait_for(lambda: re.match(r"port (\d+)\n", program.output()), 20, program.output)
        yield f"http://127.0.0.1:{said[1]}/"


@pytest.fixture(params=["standard", "github"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.needs("npm-packages")
def test_a_package_from_npm_believes_what_arrives(book: Book, packages: Path, kind: str) -> None:
    with node_running(packages, kind) as url:
        send(book, url)
    assert (book.delivery().status, answers(book)) == ("processed", [204])


@pytest.mark.needs("npm-packages")
def test_a_package_from_npm_with_another_secret_refuses_and_gets_it_again(
    book: Book, packages: Path, kind: str
) -> None:
    with node_running(packages, kind) as url:
        send(book, url, OTHER_SECRET)
    assert (book.delivery().status, answers(book)) == ("failed", [401, 401])


@pytest.mark.needs("npm-packages")
def test_the_package_for_standard_webhooks_takes_the_old_secret_for_a_while_after_a_rotation(
    book: Book, packages: Path
) -> None:
    until = clock.now() + timedelta(hours=1)
    with node_running(packages, "standard") as url:
        send(book, url, OTHER_SECRET, previous_secret=SECRET, previous_secret_expires_at=until)
    assert (book.delivery().status, answers(book)) == ("processed", [204])

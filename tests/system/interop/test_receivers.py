"""Receivers that nobody here wrote take what we send, and refuse it when their secret is another."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from gidgethub import ValidationFailure
from gidgethub.sansio import Event
from standardwebhooks import Webhook as Verifier, WebhookVerificationError

from guestbook.background import whole_pass
from guestbook.lib import clock, ids, signatures
from tests.support import processes
from tests.support.book import Book
from tests.support.processes import Started
from tests.support.receiver import Receiver

MESSAGE = "Grüße aus Görlitz & <b>Łódź</b> 🦋\u2028\nשלום 'x' \\ $(id)"
SECRET, OTHER_SECRET = signatures.new_secret(), signatures.new_secret()
TEXT = "It's a Secret to Everybody"


def send(book: Book, url: str, secret: str = SECRET, **columns: Any) -> None:
    """Somebody signs the book, whose webhook has that URL, and cron comes."""
    book.webhook(url, secret=secret, **columns)
    book.sign(MESSAGE)
    whole_pass.run(book.engine, book.settings, whole_pass.Options())


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
    header = {"source": "header", "name": "X-Hub-Signature-256"}
    hook: dict[str, object] = {
        "id": "guestbook",
        "execute-command": str(command),
        "command-working-directory": str(folder),
        "include-command-output-in-response": True,  # so it answers when the command is through
        "pass-arguments-to-command": [{"source": "raw-request-body"}],
        "trigger-rule": {"match": {"type": "payload-hmac-sha256", "secret": SECRET, "parameter": header}},
    }
    hooks.write_text(json.dumps([hook | more]))
    options = ["-verbose", "-ip", "127.0.0.1", "-port", str(port), "-hooks", str(hooks)]
    with processes.started(["webhook", *options], cwd=folder) as program:
        processes.wait_for(lambda: processes.answers(f"http://127.0.0.1:{port}/"), 10, program.output)
        yield f"http://127.0.0.1:{port}/hooks/guestbook"


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
def node_program(folder: Path, kind: str, secret: str) -> Iterator[tuple[str, Started]]:
    """Run receiver.mjs with the secret; give its URL, and the program, which prints events."""
    with processes.started(["node", "receiver.mjs", kind, secret], cwd=folder) as program:
        said = processes.wait_for(lambda: re.match(r"port (\d+)\n", program.output()), 20, program.output)
        yield f"http://127.0.0.1:{said[1]}/", program


ROTATED = {"previous_secret": SECRET, "previous_secret_expires_at": clock.now() + timedelta(hours=1)}
KEYS = {"signing_key": signatures.new_key(), "previous_signing_key": signatures.new_key()}


@pytest.mark.needs("npm-packages")
@pytest.mark.parametrize(
    ("kind", "secret", "columns"),
    [
        ("standard", SECRET, {}),
        ("github", SECRET, {}),
        ("standard", OTHER_SECRET, ROTATED),
        ("standard", OTHER_SECRET, {**ROTATED, **KEYS}),
        ("standard", OTHER_SECRET, {}),
        ("github", OTHER_SECRET, {}),
    ],
    ids=["standard", "github", "rotated", "with keys", "another secret", "another secret, github"],
)
def test_a_package_from_npm_believes_its_secret_alone_also_while_we_rotate_it(
    book: Book, packages: Path, kind: str, secret: str, columns: dict[str, Any]
) -> None:
    with node_program(packages, kind, SECRET) as (url, _):
        send(book, url, secret, **columns)
    is_good = secret == SECRET or columns
    expected = ("processed", [204]) if is_good else ("failed", [401, 401])
    assert (book.delivery().status, answers(book)) == expected


# --- receivers written for GitHub that want its headers: Octokit's middleware, and gidgethub


@pytest.fixture(params=[SECRET, TEXT], ids=["whsec", "text"])
def shared(request: pytest.FixtureRequest) -> str:
    """A secret of ours, or one that a receiver written for GitHub had already."""
    return str(request.param)


@pytest.mark.needs("npm-packages")
def test_octokits_middleware_hands_on_what_arrives(book: Book, packages: Path, shared: str) -> None:
    with node_program(packages, "middleware", shared) as (url, program):
        send(book, url, shared, github_headers_since=clock.now())
        sent = book.delivery()
        printed = f"event {ids.guid(sent.id)} comment.created {len(MESSAGE.encode('utf-16-le')) // 2}\n"
        processes.wait_for(lambda: printed in program.output(), 20, program.output)
    assert (sent.status, answers(book)) == ("processed", [200])


@pytest.mark.needs("npm-packages")
@pytest.mark.parametrize(
    ("secret", "columns"),
    [(OTHER_SECRET, {"github_headers_since": clock.now()}), (SECRET, {})],
    ids=["another secret", "without the headers"],
)
def test_octokits_middleware_refuses_another_secret_and_what_lacks_githubs_headers(
    book: Book, packages: Path, secret: str, columns: dict[str, Any]
) -> None:
    with node_program(packages, "middleware", SECRET) as (url, program):
        send(book, url, secret, **columns)
        assert "event" not in program.output()
    assert (book.delivery().status, answers(book)) == ("failed", [400, 400])


def test_gidgethub_believes_what_arrives_and_only_that(book: Book, receiver: Receiver, shared: str) -> None:
    send(book, receiver.url(), shared, github_headers_since=clock.now())
    (request,) = receiver.requests
    event = Event.from_http(request.headers, request.body, secret=shared)
    assert (event.event, event.delivery_id) == ("comment.created", ids.guid(book.delivery().id))
    assert event.data["data"]["comment"]["message"] == MESSAGE
    for secret, body in ((OTHER_SECRET, request.body), (shared, request.body + b" ")):
        with pytest.raises(ValidationFailure):
            Event.from_http(request.headers, body, secret=secret)

"""The main job on real input: somebody signs the book, cron comes, a receiver has a signed webhook.

Server and commands are forked. `test_installed` and `background.test_whole_pass` start them as a host does.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from guestbook.lib import signatures
from tests.support import processes
from tests.support.forks import Forks
from tests.support.receiver import Answer, Receiver, Request

MESSAGE = "Grüße aus Görlitz & <b>Łódź</b> 🦋\nשלום"


RETRY_AT_ONCE = {"GUESTBOOK_RETRY_SCHEDULE": "0,0,0"}


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """The settings of a book whose retries come at once."""
    return {**environ, **RETRY_AT_ONCE}


@dataclass
class Terminal:
    """Where the owner types commands."""

    forks: Forks
    environ: dict[str, str]

    def __call__(self, *arguments: str) -> str:
        """Run a command to its good end, and return what it prints."""
        done = self.forks.run(self.environ, *arguments)
        assert (done.folder / "stderr").read_text() == ""
        return (done.folder / "stdout").read_text()

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve the book; give its address."""
        with self.forks.serving(self.environ) as (address, server):
            yield address
            assert "Traceback" not in server.printed


@pytest.fixture
def flask(environ: dict[str, str], forks: Forks) -> Terminal:
    return Terminal(forks, environ)


def verified(secret: str, request: Request) -> Any:
    """Read a request with the reference library, which raises unless the signature is right."""
    return Webhook(secret).verify(request.body, request.headers)


def test_a_comment_becomes_a_webhook_that_its_receiver_can_verify(
    each_environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    flask = Terminal(forks, {**each_environ, **RETRY_AT_ONCE})
    flask("init-db")
    header = ("--header", "Authorization: Bearer me")
    secret = flask.json("webhooks", "add", receiver.url("/hook"), *header)["secret"]
    with flask.serving() as address:
        assert processes.sign(address, name="Zoë", website="example.org", message=MESSAGE) == 303
        assert receiver.requests == [], "nobody is told before cron comes"
        assert flask("cron") == ""
        assert "Zoë" in processes.fetch(address)[1]
        health = json.loads(processes.fetch(f"{address}/healthz")[1])
    (request,) = receiver.requests
    body = verified(secret, request)
    comment = body["data"]["comment"]
    assert (body["type"], comment["name"], comment["message"]) == ("comment.created", "Zoë", MESSAGE)
    assert comment["website"] == "https://example.org"
    assert comment["url"] == f"https://book.example/comments/{comment['id']}"
    assert request.headers["x-hub-signature-256"] == signatures.hub(secret.encode(), request.body)
    assert request.headers["authorization"] == "Bearer me"
    assert request.headers["x-guestbook-attempt"] == "1"
    assert health["status"] == "ok"
    (row,) = flask.json("deliveries", "list")
    assert (row["status"], row["attempts"], row["event_id"]) == ("processed", 1, request.event_id)


def test_a_receiver_that_fails_first_gets_the_same_webhook_again(flask: Terminal, receiver: Receiver) -> None:
    receiver.answer("/hook", Answer(500, body=b"not now"), Answer(204, body=b""))
    flask("init-db")
    secret = flask.json("webhooks", "add", receiver.url("/hook"))["secret"]
    with flask.serving() as address:
        assert processes.sign(address, message=MESSAGE) == 303
    flask("cron")  # with retries due at once, one pass makes both attempts
    first, second = receiver.requests
    assert verified(secret, first) == verified(secret, second)
    assert (first.body, first.event_id) == (second.body, second.event_id)
    assert [request.headers["x-guestbook-attempt"] for request in (first, second)] == ["1", "2"]
    (row,) = flask.json("deliveries", "list", "--status", "processed")
    made = flask.json("deliveries", "show", row["id"])["attempts_made"]
    answered = [(attempt["status_code"], attempt["response_body"]) for attempt in made]
    assert answered == [(500, "not now"), (204, "")]


def test_the_log_of_the_server_and_the_answers_never_hold_the_secret(
    flask: Terminal, receiver: Receiver
) -> None:
    flask("init-db")
    secret = flask.json("webhooks", "add", receiver.url("/hook"))["secret"]
    with flask.serving() as address:
        assert processes.sign(address) == 303
    said = flask("cron", "-v") + flask("webhooks", "list") + flask("status")
    said += json.dumps(flask.json("webhooks", "list"))
    for row in flask.json("deliveries", "list"):
        said += flask("deliveries", "show", row["id"])
    assert secret not in said
    assert secret.removeprefix(signatures.SECRET_PREFIX) not in said
    assert receiver.requests

"""listen: fetch a webhook's messages on another machine, print them or forward them, and commit."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result
from flask import Flask
from standardwebhooks import Webhook as Verifier

from guestbook.cli.forwarder import Forwarder
from guestbook.cli.listen import listen
from guestbook.cli.remote_book import Book, Unreachable
from guestbook.storage.models import Webhook
from tests.conftest import run
from tests.support import factories, site
from tests.support.api_client import ApiClient, new_token
from tests.support.receiver import Answer, Receiver

PROGRAM = str(Path(sys.executable).with_name("guestbook"))


@pytest.fixture
def book(app: Flask) -> Iterator[str]:
    with site.reserved_port() as listening, site.serving(app, listening):
        yield site.address(listening)


@pytest.fixture
def token(app: Flask) -> str:
    return new_token(app)


def listened(book: str, token: str, *options: str) -> Result:
    return CliRunner().invoke(listen, [book, "--once", *options], env={"BOOK_TOKEN": token})


def test_a_new_webhook_is_added_and_its_secret_is_shown(book: str, token: str) -> None:
    found = listened(book, token, "--event", "comment.published", "--event", "ping")
    assert found.exit_code == 0, found.output
    [added] = re.findall("Next time: --webhook ([0-9a-f]{32})", found.stdout)
    row = factories.the(Webhook, added)
    assert (row.url, row.events) == ("pull:", "comment.published ping")
    assert row.secret in found.stdout


def test_messages_are_printed_and_count_as_delivered(book: str, token: str) -> None:
    hook = factories.webhook("pull:")
    factories.sign("Grüße 🎈\x1b[31m")
    found = listened(book, token, "--webhook", hook)
    assert found.exit_code == 0, found.output
    assert re.search(r"^\d\d:\d\d:\d\d comment\.created \{.*Grüße 🎈.*\}$", found.stdout, re.MULTILINE)
    assert "\x1b" not in found.stdout
    assert factories.one().status == "processed"


def test_they_are_forwarded_as_the_book_would_send_them(book: str, token: str, receiver: Receiver) -> None:
    hook = factories.webhook("pull:")
    factories.sign("Grüße 🎈")
    receiver.answer("/hook", Answer(body=b"thank you\x1b"))
    found = listened(book, token, "--webhook", hook, "--forward", receiver.url("/hook"))
    assert "  200 thank you " in found.stdout
    [request], row = receiver.requests, factories.one()
    assert request.body == row.payload.encode()
    assert Verifier(factories.the(Webhook, hook).secret).verify(request.body, request.headers)
    assert (row.status, row.last_status_code) == ("processed", 200)


@pytest.mark.parametrize(
    "answer", [Answer(status=500), Answer(status=302), Answer(status=999), Answer(drop=True)]
)
def test_what_the_program_refuses_comes_again_later(
    book: str, token: str, receiver: Receiver, answer: Answer
) -> None:
    hook = factories.webhook("pull:")
    factories.sign()
    receiver.answer("/hook", answer)
    found = listened(book, token, "--webhook", hook, "--forward", receiver.url("/hook"))
    assert (found.exit_code, "It comes again later." in found.stderr) == (0, True), found.output
    assert (factories.one().status, factories.one().attempts) == ("new", 1)
    receiver.answer("/hook", Answer())
    factories.all_due()
    listened(book, token, "--webhook", hook, "--forward", receiver.url("/hook"))
    assert factories.one().status == "processed"


def test_messages_in_a_row_share_a_connection_and_no_cookies(receiver: Receiver) -> None:
    receiver.answer("/hook", Answer(headers={"Set-Cookie": "one=1"}))
    with Forwarder(receiver.url("/hook")) as forwarder:
        for number in range(3):
            delivery = {"payload": f"{number}", "headers": {"webhook-id": f"{number}"}}
            assert forwarder.forward(delivery)["ok"]
            assert receiver.connections() == 1
    assert [("cookie" in request.headers) for request in receiver.requests] == [False] * 3


def test_a_new_listener_takes_over_from_one_that_was_killed(book: str, app: Flask, token: str) -> None:
    hook = factories.webhook("pull:")
    factories.sign()
    killed = ApiClient(app, token).get(f"/webhooks/{hook}/pending")
    assert len(killed["deliveries"]) == 1
    assert "comment.created" not in listened(book, new_token(app), "--webhook", hook).stdout
    assert "comment.created" in listened(book, token, "--webhook", hook).stdout
    assert factories.one().status == "processed"


def test_a_wrong_token_webhook_or_address_is_refused_with_a_sentence(book: str, token: str) -> None:
    other = factories.webhook()
    for options, sentence in (
        ((book, "gbk_wrong", "--webhook", other), "token"),
        ((book, token, "--webhook", other), "The book sends to this webhook."),
        ((book, token, "--webhook", "0" * 32), "has no such webhook"),
        (("http://book.example", token), "Use https"),
        (("book.example", token), "BOOK must be an address"),
        (("https://", token), "BOOK must be an address"),
        (("http://[::1", token), "BOOK must be an address"),
        (("http://127.0.0.1:99999", token), "BOOK must be an address"),
        (("http://owner:word@127.0.0.1", token), "BOOK must be an address"),
        ((f"{book}?page=1", token), "BOOK must be an address"),
        ((book, "gbk_1\ngbk_2"), "The token must be one word"),
        ((book, "gbk_🎈"), "The token must be one word"),
        ((book, token, "--webhook", other, "--event", "ping"), "--event is for a new webhook."),
        ((book, token, "--forward", "127.0.0.1:8000/hook"), "--forward must be a URL"),
        ((book, token, "--event", "comment.x"), "This must be one of comment.created"),
        ((book, token, "--webhook", f"../webhooks/{other}"), "has no such webhook"),
    ):
        found = listened(*options)
        assert found.exit_code in (1, 2), options
        assert sentence in found.stderr, found.stderr
        assert "Traceback" not in found.output


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Answer(body=b"welcome"), "or it is no guestbook."),
        (Answer(body=b"[1]"), "or it is no guestbook."),
        (
            Answer(status=301, headers={"Location": "https://book.example/"}),
            "redirects to https://book.example/.",
        ),
        (Answer(status=418, body=b'{"error": ["\x1b"]}'), "The book answered 418."),
        (Answer(drop=True), "The book cannot be reached (ConnectionError)."),
    ],
)
def test_what_is_no_book_is_said_in_a_sentence(
    token: str, receiver: Receiver, answer: Answer, sentence: str
) -> None:
    receiver.answer("/api/v1/webhooks", answer)
    found = listened(receiver.url("").rstrip("/"), token)
    assert (found.exit_code, found.stdout) == (1, "")
    assert sentence in found.stderr


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 521, 599])
def test_a_book_that_is_away_for_now_counts_as_unreachable(receiver: Receiver, status: int) -> None:
    receiver.answer("/api/v1/webhooks", Answer(status=status))
    with requests.Session() as session, pytest.raises(Unreachable, match=f"it answered {status}"):
        Book(receiver.url("").rstrip("/"), session).call("GET", "/webhooks")


def test_a_password_of_the_machine_does_not_replace_the_token(
    book: str, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login owner password word\n")
    monkeypatch.setenv("NETRC", str(netrc))
    found = listened(book, token, "--webhook", factories.webhook("pull:"))
    assert found.exit_code == 0, found.output


def test_it_needs_no_book_on_its_machine(book: str, token: str, tmp_path: Path) -> None:
    hook = factories.webhook("pull:")
    factories.sign()
    empty = tmp_path / "empty"
    empty.mkdir()
    environ = {"BOOK_TOKEN": token, "HOME": str(empty), "PATH": "/usr/bin:/bin"}
    done = run(PROGRAM, "listen", book, "--webhook", hook, "--once", cwd=empty, env=environ)
    assert done.returncode == 0, done.stderr
    assert "comment.created" in done.stdout
    assert list(empty.iterdir()) == []

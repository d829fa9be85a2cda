"""listen: fetch a webhook's messages on another machine, print them or forward them, and commit."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from standardwebhooks import Webhook as Verifier

from guestbook.cli import listen as module
from guestbook.cli.listen import listen
from guestbook.lib import clock
from guestbook.storage.models import Webhook
from tests.conftest import run
from tests.support import factories, site
from tests.support.api_client import ApiClient, new_token
from tests.support.receiver import Answer, Receiver, Request

PROGRAM = str(Path(sys.executable).with_name("guestbook"))


@pytest.fixture
def book(app: Flask) -> Iterator[str]:
    with site.reserved_port() as listening, site.serving(app, listening):
        yield site.address(listening)


@pytest.fixture
def token(app: Flask) -> str:  # noqa: ARG001  the factories fill it
    return new_token()


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
    assert (found.exit_code, "\x1b" in found.stdout) == (0, False), found.output
    assert re.search(r"^\d\d:\d\d:\d\d comment\.created \{.*Grüße 🎈.*\}$", found.stdout, re.MULTILINE)
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


@pytest.mark.parametrize("answer", [*map(Answer, (500, 302, 999)), Answer(drop=True)])
def test_what_is_refused_comes_again_later(book: str, token: str, receiver: Receiver, answer: Answer) -> None:
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
        (Answer(status=301, headers={"Location": "https://b.example/"}), "redirects to https://b.example/."),
        (Answer(status=418, body=b'{"error": ["\x1b"]}'), "The book answered 418."),
        (Answer(drop=True), "The book cannot be reached (connection lost)."),
        *((Answer(status=code), f"cannot be reached (it answered {code})") for code in (408, 429, 503, 599)),
        (Answer(body=b"[" * 100_000), "or it is no guestbook."),
        (Answer(body=b'{"id": ' + b"9" * 5000 + b"}"), "or it is no guestbook."),
        (Answer(body=b'{"id": "\\ud800", "secret": "s"}'), "is not that of a guestbook."),
        (Answer(body=b'{"id": ["\\u001b"], "secret": 1}'), "is not that of a guestbook."),
        (Answer(status=422, body=b'{"error": {"fields": {"url": "\\ud800\\u001b[31m"}}}'), "Error:   [31m"),
        (Answer(body=b"{}" * 1000), "is not that of a guestbook."),
    ],
)
def test_what_is_no_book_is_said_in_a_sentence(
    token: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, answer: Answer, sentence: str
) -> None:
    if len(answer.body) == 2000:
        monkeypatch.setattr(module, "ANSWER_LIMIT", 1000)
    receiver.answer("/api/v1/webhooks", answer)
    found = listened(receiver.url("").rstrip("/"), token)
    assert (found.exit_code, found.stdout) == (1, "")
    assert sentence in found.stderr


class HostileBook(Receiver):
    """Hands out one delivery, or gives one odd answer, and takes every commit."""

    def __init__(self, odd: dict[str, object] | None = None) -> None:
        headers = {"Host": "other.example", "Authorization": "Basic eA==", "Cookie": "a=b"}
        headers |= {"Transfer-Encoding": "chunked", "Webhook-Id": "1", "X-Forwarded-For": "::1"}
        hostile = {"event": "comment.created\x1b]0;title\x07", "payload": "{}", "headers": headers}
        self._waiting: list[dict[str, object]] = [{"id": "0" * 32, **hostile}]
        self._odd = odd or {}
        super().__init__(program=self._play)

    def _play(self, request: Request) -> Answer:
        if request.path.endswith("/commit"):
            return Answer(body=b'{"late": 0}')
        taken = {"token": "1" * 32, "retry_after": 0, "deliveries": self._waiting[:1], **self._odd}
        self._waiting.clear()
        return Answer(body=json.dumps(taken).encode())


def test_nothing_of_a_hostile_book_reaches_terminal_or_program(token: str, receiver: Receiver) -> None:
    forward = ("--forward", receiver.url("/hook"))
    with HostileBook() as book:
        found = listened(book.url("").rstrip("/"), token, "--webhook", "1", *forward)
    assert found.exit_code == 0, found.output
    assert "comment.created ]0;title  {}" in found.stdout
    [request] = receiver.requests
    assert set(request.headers) == {"host", "content-length", "webhook-id"}
    assert (request.headers["host"], request.body) == (f"127.0.0.1:{receiver.port}", b"{}")
    [result] = [
        one for sent in book.requests if sent.path.endswith("/commit") for one in sent.json["results"]
    ]
    assert (result["ok"], result["status_code"]) == (True, 200)
    assert "error" not in result


@pytest.mark.parametrize(
    "odd",
    [
        *({"token": None}, {"token": "\ud800"}, {"deliveries": 1}, {"deliveries": [1]}),
        {"deliveries": [{"id": "1", "event": 1, "payload": None, "headers": []}]},
        *({"retry_after": wrong} for wrong in (-1, "1", float("nan"), 1e300)),
    ],
)
def test_an_answer_with_wrong_types_ends_with_one_sentence(token: str, odd: dict[str, object]) -> None:
    with HostileBook(odd) as book:
        address = book.url("").rstrip("/")
        found = listened(address, token, "--webhook", "1")
    said = f"Error: The answer of {address} is not that of a guestbook.\n"
    assert (found.exit_code, found.stderr) == (1, said)


def test_every_header_of_a_delivery_reaches_the_program(app: Flask) -> None:
    hook = factories.webhook("pull:", github_headers_since=clock.now())
    factories.sign()
    [taken] = ApiClient(app, new_token()).get(f"/webhooks/{hook}/pending")["deliveries"]
    assert set(taken["headers"]) == set(module.DELIVERY_HEADERS)


def test_without_a_terminal_nothing_is_asked() -> None:
    found = CliRunner().invoke(listen, ["https://book.example"], env={"BOOK_TOKEN": None})
    assert (found.exit_code, found.stdout) == (2, "")
    assert "Give a token: set BOOK_TOKEN, or add --token - and pipe it in." in found.stderr
    found = CliRunner().invoke(listen, ["book.example/a", "--token", "-"], input="gbk 1\n")
    assert found.stderr.endswith("like https://book.example. Did you mean https://book.example/a?\n")


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

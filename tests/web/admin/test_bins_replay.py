"""Send it again: a bin's request goes to another URL, with the transport and the rules of webhooks."""

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.owner import Owner
from tests.support.receiver import HANG, Answer, Receiver
from tests.support.visitor import parse, plain
from tests.web.admin.test_bins import PLACE, added, send

HEADERS = [
    ("Host", "book.example"), ("Content-Length", "99"), ("Connection", "close"), ("Content-Type", "a/b"),
    ("X-Token", "1"), ("Webhook-Id", "x"),
]  # fmt: skip


def replay(owner: Owner, request_id: str, url: str) -> TestResponse:
    return owner.post(f"{PLACE}requests/{request_id}/replay", {"url": url})


def words(answer: TestResponse) -> str:
    return plain(parse(answer).find(".//main"))


@pytest.mark.parametrize("method", ["POST", "GET", "PROPFIND", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("body", [b"", b"\0\xff\r\n", b"x" * 200_000], ids=["none", "binary", "long"])
def test_method_headers_and_body_are_the_same(
    app: Flask, owner: Owner, receiver: Receiver, method: str, body: bytes
) -> None:
    request_id = send(app, added(owner), body, method=method, headers=HEADERS, path="/left", query="out")
    answer = replay(owner, request_id, receiver.url("/to?a=b"))
    assert answer.status_code == 200
    [request] = receiver.requests
    assert (request.method, request.path, request.body) == (method, "/to?a=b", body)
    assert request.headers == {
        "host": f"127.0.0.1:{receiver.port}", "content-type": "a/b", "x-token": "1", "webhook-id": "x",
        "content-length": str(len(body)),
    }  # fmt: skip


def test_the_answer_is_shown_inert(app: Flask, owner: Owner, receiver: Receiver) -> None:
    receiver.answer("/to", Answer(418, headers={"X-A": "<i>"}, body=b"<script>alert(1)</script>\xff"))
    answer = replay(owner, send(app, added(owner)), receiver.url("/to"))
    said = words(answer)
    assert "The answer was 418 after" in said
    assert "<script>alert(1)</script>" in said
    assert "<i>" in said
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/latest"]
)
def test_private_addresses_are_refused_as_they_are_for_webhooks(app: Flask, owner: Owner, url: str) -> None:
    answer = replay(owner, send(app, added(owner)), url)
    assert answer.status_code == 422
    assert "is a private or reserved address, so nothing would be sent there." in words(answer)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "The URL is missing."),
        ("pull:", "The URL must start with https:// or http://."),
        ("x" * 5000, "The URL is longer than 2000 characters."),
    ],
)
def test_what_is_no_url_comes_back_with_the_reason(app: Flask, owner: Owner, url: str, sentence: str) -> None:
    answer = replay(owner, send(app, added(owner)), url)
    assert answer.status_code == 422
    assert sentence in words(answer)


def test_a_body_that_was_cut_is_not_sent_again(app: Flask, owner: Owner, receiver: Receiver) -> None:
    answer = replay(owner, send(app, added(owner), b"x" * 300_000), receiver.url("/to"))
    assert answer.status_code == 422
    assert "so it cannot be sent again" in words(answer)
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"method": "CONNECT"}, "The method cannot be sent."),
        ({"headers": [("X-A", "caf\xe9")]}, "A header cannot be sent."),
        ({"headers": [("X-A", "a\r\nX-B: c")]}, "A header cannot be sent."),
    ],
)
def test_what_would_break_the_request_is_not_sent(
    app: Flask, owner: Owner, receiver: Receiver, changes: dict[str, object], sentence: str
) -> None:
    assert sentence in words(replay(owner, send(app, added(owner), **changes), receiver.url("/to")))
    assert receiver.requests == []


def test_redirects_are_shown_and_not_followed(app: Flask, owner: Owner, receiver: Receiver) -> None:
    receiver.answer("/to", Answer(302, headers={"Location": receiver.url("/else")}))
    assert "The answer was 302" in words(replay(owner, send(app, added(owner)), receiver.url("/to")))
    assert receiver.at("/else") == []


class TestSlow:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"GUESTBOOK_TIMEOUT": "1"}

    def test_a_receiver_that_hangs_costs_the_timeout(
        self, app: Flask, owner: Owner, receiver: Receiver
    ) -> None:
        receiver.answer("/to", HANG)
        answer = replay(owner, send(app, added(owner)), receiver.url("/to"))
        assert "No answer came" in words(answer)
        assert "The receiver did not answer in time." in words(answer)

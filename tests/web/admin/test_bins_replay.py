"""Send it again: a bin's request goes to another URL, with the transport and the rules of webhooks."""

import socket
import time
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.support import factories
from tests.support.owner import Owner
from tests.support.receiver import HANG, Answer, Receiver
from tests.support.visitor import parse, plain
from tests.transport.conftest import answers
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
def test_method_and_body_are_the_same(owner: Owner, receiver: Receiver, method: str, body: bytes) -> None:
    request_id = send(added(owner), body, method=method, headers=HEADERS, path="/left", query="out")
    answer = replay(owner, request_id, receiver.url("/to?a=b"))
    assert answer.status_code == 200
    [request] = receiver.requests
    assert (request.method, request.path, request.body) == (method, "/to?a=b", body)
    assert request.headers == {
        "host": f"127.0.0.1:{receiver.port}", "content-type": "a/b", "x-token": "1", "webhook-id": "x",
        "content-length": str(len(body)),
    }  # fmt: skip


def test_the_answer_is_shown_inert(owner: Owner, receiver: Receiver) -> None:
    receiver.answer("/to", Answer(418, headers={"X-A": "<i>"}, body=b"<script>alert(1)</script>\xff"))
    answer = replay(owner, send(added(owner)), receiver.url("/to"))
    said = words(answer)
    assert "The answer was 418 after" in said
    assert "<script>alert(1)</script>" in said
    assert "<i>" in said
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize(
    ("changes", "url", "sentence"),
    [
        ({}, "http://10.0.0.1/", "is a private or reserved address, so nothing would be sent there."),
        (
            {},
            "http://[::ffff:10.0.0.1]/",
            "is a private or reserved address, so nothing would be sent there.",
        ),
        ({}, "pull:", "The URL must start with https:// or http://."),
        ({"body": b"x" * 300_000}, None, "so it cannot be sent again"),
        ({"method": "CONNECT"}, None, "The method cannot be sent."),
        ({"headers": [("X-A", "a\r\nX-B: c")]}, None, "A header cannot be sent."),
    ],
)
def test_what_cannot_be_sent_says_why(
    owner: Owner, receiver: Receiver, changes: dict[str, Any], url: str | None, sentence: str
) -> None:
    answer = replay(owner, send(added(owner), **changes), url or receiver.url("/to"))
    assert answer.status_code == (200 if "method" in changes or "headers" in changes else 422)
    assert sentence in words(answer)
    assert receiver.requests == []


def test_redirects_are_shown_and_not_followed(owner: Owner, receiver: Receiver) -> None:
    receiver.answer("/to", Answer(302, headers={"Location": receiver.url("/else")}))
    assert "The answer was 302" in words(replay(owner, send(added(owner)), receiver.url("/to")))
    assert receiver.at("/else") == []


def test_a_name_that_leads_to_a_private_address_is_not_reached(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers("10.0.0.1"))
    answer = replay(owner, send(added(owner)), "http://inner.example/")
    assert "The host has a private or reserved address, so nothing was sent." in words(answer)


def test_a_receiver_that_hangs_costs_no_more_than_the_timeout(owner: Owner, receiver: Receiver) -> None:
    receiver.answer("/to", HANG)
    request_id = send(added(owner))
    with owner.app.app_context():
        factories.change_settings(timeout=0.5)
    began = time.monotonic()
    assert "The receiver did not answer in time." in words(replay(owner, request_id, receiver.url("/to")))
    assert time.monotonic() - began < 8

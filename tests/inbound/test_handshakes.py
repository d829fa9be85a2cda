"""Handshakes: what Slack, Meta and GitHub ask before they send, and nothing else, is answered."""

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestbook.inbound.senders import (
    discord_answer,
    is_handshake,
    is_ping,
    meta_challenge,
    slack_challenge,
    zoom_answer,
    zoom_challenge,
)

CHALLENGE = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"


def test_slacks_question_is_answered() -> None:
    question = {"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": CHALLENGE, "type": "url_verification"}
    assert slack_challenge(json.dumps(question).encode()) == CHALLENGE


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"5", b"{", b"\xff", b"[" * 4000, b"9" * 4001, b"9" * 5000),
        json.dumps({"type": "event_callback", "challenge": CHALLENGE}).encode(),
        json.dumps({"challenge": CHALLENGE}).encode(),
        json.dumps({"type": "url_verification"}).encode(),
        json.dumps({"type": ["url_verification"], "challenge": CHALLENGE}).encode(),
        json.dumps({"type": "url_verification", "challenge": CHALLENGE, "pad": "x" * 4096}).encode(),
    ],
)
def test_what_is_not_slacks_question_is_not_answered(body: bytes) -> None:
    assert slack_challenge(body) is None


@pytest.mark.parametrize(
    "challenge", ["", " ", "a b", "ü", "a\nb", "a\n", "\ud800", "x" * 201, 5, None, ["a"], {"a": 1}]
)
def test_only_a_short_printable_challenge_is_echoed(challenge: object) -> None:
    challenge_request = json.dumps({"type": "url_verification", "challenge": challenge})
    assert slack_challenge(challenge_request.encode()) is None
    if isinstance(challenge, str):
        args = {"hub.mode": "subscribe", "hub.verify_token": "t", "hub.challenge": challenge}
        assert meta_challenge(args, "t") is None


def test_metas_question_is_answered_to_who_knows_the_token() -> None:
    args = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "mëatyhamhock"}
    assert meta_challenge(args, "mëatyhamhock") == "1158201444"
    assert meta_challenge(args, "meatyhamhock") is None
    assert meta_challenge({**args, "hub.verify_token": ""}, "") is None
    assert meta_challenge({**args, "hub.mode": "unsubscribe"}, "mëatyhamhock") is None
    for name in args:
        others = {key: value for key, value in args.items() if key != name}
        assert meta_challenge(others, "mëatyhamhock") is None


def test_githubs_ping_is_known() -> None:
    assert is_ping({"x-github-event": "ping"})
    assert not is_ping({"x-github-event": "push"})
    assert not is_ping({})


def zoom_request(token: object) -> bytes:
    return json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": token}}).encode()


def test_zooms_question_is_answered_with_a_signature() -> None:
    challenge = zoom_challenge(zoom_request("qgg8vlvZRS6UYooatFL8Aw"))
    assert challenge == "qgg8vlvZRS6UYooatFL8Aw"
    answer = zoom_answer(challenge, "Jefe")
    assert answer["plainToken"] == challenge
    assert answer["encryptedToken"] == hmac.new(b"Jefe", challenge.encode(), hashlib.sha256).hexdigest()
    wrong = [zoom_request(token) for token in (None, "a b", "x" * 201, ["a"])]
    for body in (b"", b"[]", b"{", *wrong):
        assert zoom_challenge(body) is None
    assert zoom_challenge(b'{"event": "endpoint.url_validation", "payload": []}') is None
    assert zoom_challenge(b'{"event": "meeting.started", "payload": {"plainToken": "a"}}') is None


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ({"type": 1, "id": "1", "token": "t"}, {"type": 1}),
        ({"type": 0, "version": 1}, None),
        ({"type": 1, "event": {"type": "APPLICATION_AUTHORIZED"}}, None),
        ({"type": 2, "data": {"name": "sign"}}, {"type": 4, "data": {"content": "✓", "flags": 64}}),
    ],
)
def test_discord_gets_the_answer_that_it_wants(
    sent: dict[str, object], answer: dict[str, object] | None
) -> None:
    body = json.dumps(sent).encode()
    assert discord_answer(body) == answer
    assert is_handshake("ed25519", body) == (sent["type"] in (0, 1) and "event" not in sent)


def test_a_handshake_is_only_that_of_its_own_kind() -> None:
    slack = json.dumps({"type": "url_verification", "challenge": CHALLENGE}).encode()
    zoom = zoom_request("a")
    kinds = ("slack", "hmac", "github", "ed25519", "token", "none")
    assert [kind for kind in kinds if is_handshake(kind, slack)] == ["slack"]
    assert [kind for kind in kinds if is_handshake(kind, zoom)] == ["hmac"]


@given(st.binary(), st.dictionaries(st.text(), st.text()), st.text())
def test_nothing_raises(body: bytes, args: dict[str, str], token: str) -> None:
    assert slack_challenge(body) is None
    assert meta_challenge(args, token) is None
    assert zoom_challenge(body) is None
    assert not is_handshake("ed25519", body)
    assert discord_answer(body)

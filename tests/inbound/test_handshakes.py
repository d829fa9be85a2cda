"""Handshakes: what Slack, Meta and GitHub ask before they send, and nothing else, is answered."""

import json

import pytest

from guestbook.inbound import event_reader

CHALLENGE = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"


@pytest.mark.parametrize("body", [
    *(b"", b"[]", b"5", b"{", b"\xff", b"[" * 4000, b"9" * 4001, b"9" * 5000),
    json.dumps({"type": "event_callback", "challenge": CHALLENGE}).encode(),
    json.dumps({"challenge": CHALLENGE}).encode(),
    json.dumps({"type": "url_verification"}).encode(),
    json.dumps({"type": ["url_verification"], "challenge": CHALLENGE}).encode(),
    json.dumps({"type": "url_verification", "challenge": CHALLENGE, "pad": "x" * 4096}).encode(),
])  # fmt: skip
def test_what_is_not_slacks_question_is_not_answered(body: bytes) -> None:
    assert event_reader.slack_challenge(body) is None


@pytest.mark.parametrize(
    "challenge", ["", " ", "a b", "ü", "a\nb", "a\n", "\ud800", "x" * 201, 5, None, ["a"], {"a": 1}]
)
def test_only_a_short_printable_challenge_is_echoed(challenge: object) -> None:
    challenge_request = json.dumps({"type": "url_verification", "challenge": challenge})
    assert event_reader.slack_challenge(challenge_request.encode()) is None
    if isinstance(challenge, str):
        args = {"hub.mode": "subscribe", "hub.verify_token": "t", "hub.challenge": challenge}
        assert event_reader.meta_challenge(args, "t") is None


def test_metas_question_is_answered_to_who_knows_the_token() -> None:
    args = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "mëatyhamhock"}
    assert event_reader.meta_challenge(args, "mëatyhamhock") == "1158201444"
    assert event_reader.meta_challenge(args, "meatyhamhock") is None
    assert event_reader.meta_challenge({**args, "hub.verify_token": ""}, "") is None
    assert event_reader.meta_challenge({**args, "hub.mode": "unsubscribe"}, "mëatyhamhock") is None
    for name in args:
        others = {key: value for key, value in args.items() if key != name}
        assert event_reader.meta_challenge(others, "mëatyhamhock") is None


def zoom_request(token: object) -> bytes:
    return json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": token}}).encode()


@pytest.mark.parametrize("token", [None, "a b", "x" * 201, ["a"], {"a": 1}])
def test_what_is_not_zooms_question_is_not_answered(token: object) -> None:
    assert event_reader.zoom_challenge(zoom_request(token)) is None
    assert event_reader.zoom_challenge(b'{"event": "endpoint.url_validation", "payload": []}') is None


def test_a_handshake_is_only_that_of_its_own_kind() -> None:
    slack = json.dumps({"type": "url_verification", "challenge": CHALLENGE}).encode()
    zoom = zoom_request("a")
    kinds = ("slack", "hmac", "github", "ed25519", "token", "none")
    assert [kind for kind in kinds if event_reader.is_handshake(kind, slack)] == ["slack"]
    assert [kind for kind in kinds if event_reader.is_handshake(kind, zoom)] == ["hmac"]

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
    assert event_reader.challenge("slack", body) is None


@pytest.mark.parametrize(
    "challenge", ["", " ", "a b", "ü", "a\nb", "a\n", "\ud800", "x" * 201, 5, None, ["a"], {"a": 1}]
)
def test_only_a_short_printable_challenge_is_echoed(challenge: object) -> None:
    challenge_request = json.dumps({"type": "url_verification", "challenge": challenge})
    assert event_reader.challenge("slack", challenge_request.encode()) is None
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


def test_a_hub_of_websub_may_have_no_token_but_not_a_wrong_one() -> None:
    """The names and values of https://www.w3.org/TR/websub/#hub-verifies-intent."""
    args = {"hub.mode": "subscribe", "hub.topic": "https://feed.example/", "hub.challenge": "s7D1"}
    assert event_reader.meta_challenge(args, "t", is_websub=True) == "s7D1"
    assert event_reader.meta_challenge(args | {"hub.verify_token": "t"}, "t", is_websub=True) == "s7D1"
    assert event_reader.meta_challenge(args, "t") is None
    for wrong in ({"hub.verify_token": ""}, {"hub.mode": "unsubscribe"}, {"hub.mode": "denied"}):
        assert event_reader.meta_challenge(args | wrong, "t", is_websub=True) is None


MICROSOFT = "Validation: Testing client application reachability for subscription Request-Id: 4fa5e5c4"


def test_a_url_is_checked_by_dropbox_and_microsoft_each_in_its_own_way() -> None:
    args = {"challenge": CHALLENGE, "validationToken": MICROSOFT}
    assert event_reader.url_challenge(args, "x-dropbox-signature") == CHALLENGE
    assert event_reader.url_challenge(args, "body.value.clientstate") == MICROSOFT
    for header in ("", "x-hub-signature", "challenge"):
        assert event_reader.url_challenge(args, header) is None
    for odd in ("", " a", "ü", "a\nb", "x" * 501):
        assert event_reader.url_challenge({"challenge": odd}, "x-dropbox-signature") is None
    assert event_reader.url_challenge({}, "x-dropbox-signature") is None


# As https://dev.twitch.tv/docs/eventsub/handling-webhook-events/ shows it.
TWITCH = {
    "challenge": "pogchamp-kappa-360noscope-vohiyo",
    "subscription": {"status": "webhook_callback_verification_pending", "type": "channel.follow"},
}


def test_twitch_s_question_is_told_from_its_events() -> None:
    assert event_reader.challenge("twitch", json.dumps(TWITCH).encode()) == TWITCH["challenge"]
    for other in ({"subscription": {"status": "enabled"}}, {"subscription": []}, {"challenge": "a b"}):
        assert event_reader.challenge("twitch", json.dumps(TWITCH | other).encode()) is None


def zoom_request(token: object) -> bytes:
    return json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": token}}).encode()


@pytest.mark.parametrize("token", [None, "a b", "x" * 201, ["a"], {"a": 1}])
def test_what_is_not_zooms_question_is_not_answered(token: object) -> None:
    assert event_reader.challenge("zoom", zoom_request(token)) is None
    assert event_reader.challenge("zoom", b'{"event": "endpoint.url_validation", "payload": []}') is None


def test_a_handshake_is_only_that_of_its_own_kind() -> None:
    slack = json.dumps({"type": "url_verification", "challenge": CHALLENGE}).encode()
    zoom = zoom_request("a")
    kinds = ("slack", "hmac", "github", "ed25519", "token", "none")
    assert [kind for kind in kinds if event_reader.is_handshake(kind, slack)] == ["slack"]
    for hmac in (zoom, json.dumps(TWITCH).encode()):
        assert [kind for kind in kinds if event_reader.is_handshake(kind, hmac)] == ["hmac"]

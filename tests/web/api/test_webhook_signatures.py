"""What signs a webhook's requests, by the API: given secrets, key pairs, GitHub's headers."""

import json

import pytest
from flask import Flask
from standardwebhooks import Webhook as Verifier

from guestbook.lib import ed25519, signing
from guestbook.storage.models import Webhook
from tests.support import factories
from tests.support.api_client import ApiClient
from tests.support.receiver import Receiver

URL = "https://receiver.example/hook"
TEXT = "It's a Secret to Everybody"


def stored(app: Flask, webhook_id: str) -> Webhook:
    with app.app_context():
        row: Webhook = factories.the(Webhook, webhook_id)
        return row


def test_a_given_secret_signs_in_both_schemes(app: Flask, program: ApiClient, receiver: Receiver) -> None:
    webhook = program.post("/webhooks", {"url": receiver.url(), "secret": TEXT, "github_headers": True})
    assert (webhook["secret"], stored(app, webhook["id"]).secret) == (TEXT, TEXT)
    program.post(f"/webhooks/{webhook['id']}/test", status=202)
    with app.app_context():
        factories.run_pass()
    [request] = receiver.requests
    assert request.headers["x-hub-signature-256"] == signing.hub(TEXT.encode(), request.body)
    assert request.headers["x-github-event"] == "ping"
    Verifier(signing.standard_form(TEXT)).verify(request.body, request.headers)


@pytest.mark.parametrize(
    "secret", ["short", "x" * 101, "whsec_of the wrong kind", 5, None, "two lines\nin a text"]
)
def test_what_is_no_secret_is_refused(program: ApiClient, secret: object) -> None:
    assert list(program.refused("POST", "/webhooks", {"url": URL, "secret": secret})) == ["secret"]
    webhook = program.post("/webhooks", {"url": URL})
    place = f"/webhooks/{webhook['id']}/rotate-secret"
    assert list(program.refused("POST", place, {"secret": secret})) == ["secret"]
    assert list(program.refused("PATCH", f"/webhooks/{webhook['id']}", {"secret": TEXT})) == ["secret"]


def test_a_short_secret_is_refused_with_its_length(program: ApiClient) -> None:
    short, none = ({"url": URL, "secret": secret} for secret in ("short", ""))
    assert program.refused("POST", "/webhooks", short) == {
        "secret": "This has 5 characters. Please use at least 16."
    }
    assert program.refused("POST", "/webhooks", none) == {"secret": "This must not be empty."}


def test_a_given_secret_rotates_the_old_one(app: Flask, program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL})
    place = f"/webhooks/{webhook['id']}/rotate-secret"
    assert program.post(place, {"secret": TEXT}, 200)["secret"] == TEXT
    assert stored(app, webhook["id"]).previous_secret == webhook["secret"]
    assert list(program.refused("POST", place, {"secret": TEXT})) == ["secret"]


def test_a_key_pair_is_made_shown_by_half_and_rotated(app: Flask, program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL, "sign_with": "both"})
    place, first = f"/webhooks/{webhook['id']}", webhook["public_key"]
    assert first == ed25519.public_key(stored(app, webhook["id"]).signing_key or "")
    turned = program.post(f"{place}/rotate-key", {"overlap_hours": 2}, 200)
    assert (turned["previous_public_key"], turned["public_key"] != first) == (first, True)
    assert turned["previous_signing_key_expires_at"] > webhook["created_at"]
    assert program.post(f"{place}/rotate-key", status=200)["public_key"] != turned["public_key"]
    answers = [webhook, turned, program.get("/webhooks"), program.get(place)]
    assert "whsk_" not in json.dumps(answers)
    assert list(program.refused("POST", f"{place}/rotate-key", {"secret": TEXT})) == ["secret"]


def test_a_change_of_what_signs(program: ApiClient) -> None:
    place = f"/webhooks/{program.post('/webhooks', {'url': URL})['id']}"
    assert program.get(place)["sign_with"] == "secret"
    changed = program.patch(place, {"sign_with": "key"})
    assert (changed["sign_with"], changed["public_key"][:5]) == ("key", "whpk_")
    assert list(program.refused("PATCH", place, {"github_headers": True})) == ["sign_with"]
    changed = program.patch(place, {"github_headers": True, "sign_with": "secret"})
    assert (changed["public_key"], changed["github_headers_since"] is None) == (None, False)
    assert program.patch(place, {"github_headers": False})["github_headers_since"] is None
    for wrong in ({"sign_with": "rsa"}, {"github_headers": "yes"}):
        assert list(program.refused("PATCH", place, wrong)) == list(wrong)


def test_without_a_key_none_is_rotated(program: ApiClient) -> None:
    webhook = program.post("/webhooks", {"url": URL})
    answer = program.ask("POST", f"/webhooks/{webhook['id']}/rotate-key")
    assert answer.status_code == 422
    assert answer.get_json()["error"]["message"] == "This webhook has no key, because only its secret signs."

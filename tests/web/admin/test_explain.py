"""Explain the signature: it shows what was sent, its programs work, and it holds no secret."""

import html
from datetime import timedelta
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from flask import Flask
from standardwebhooks import Webhook as Verifier

from guestbook.lib import clock, signatures
from guestbook.outbound import signature_explanation
from guestbook.storage.database import db, writing
from guestbook.storage.models import Webhook
from tests.support import factories
from tests.support.owner import Owner
from tests.support.receiver import Answer, Receiver, Request
from tests.support.visitor import plain, text
from tests.web.admin.conftest import store

LIST = "/admin/deliveries/"
HOUR = timedelta(hours=1)
MESSAGE = 'it\'s "quoted" \\ #{x} $y ?> </pre> 🎈\n\nשלום'


@pytest.fixture
def sent(app: Flask, receiver: Receiver) -> tuple[str, list[Request]]:  # noqa: ARG001  the factories fill it
    """A delivery that was sent twice, and what the receiver got."""
    receiver.answer("/", Answer(500), Answer(200))
    factories.webhook(receiver.url())
    factories.sign(MESSAGE)
    factories.run_pass()
    factories.all_due()
    factories.run_pass()
    return factories.one().id, receiver.requests


def change(**values: Any) -> Webhook:
    """Change the only webhook, and return it."""
    [webhook] = factories.rows(Webhook)
    factories.alter(Webhook, webhook.id, **values)
    return factories.the(Webhook, webhook.id)


def shown(page: Element) -> list[str]:
    return [text(pre) for pre in page.findall(".//pre")]


def test_the_steps_lead_to_what_was_sent(owner: Owner, sent: tuple[str, list[Request]]) -> None:
    (key, requests), secret = sent, change().secret
    for number, request in enumerate(requests, 1):
        page = owner.page(f"{LIST}{key}/explain?attempt={number}")
        steps = shown(page)
        stamp, body = request.headers["webhook-timestamp"], request.body.decode()
        assert steps[0] == body
        assert steps[1] == f"{request.event_id}.{stamp}.{body}"
        assert f"webhook-signature: {request.headers['webhook-signature']}" in steps
        assert f"X-Hub-Signature-256: {request.headers['x-hub-signature-256']}" in steps
        assert f"{len(request.body)} bytes" in text(page)
        assert f"attempt {number} of" in text(page)
        made = signature_explanation.explain(request.event_id, int(stamp), request.body, [secret]).programs
        for program in made:
            assert text(page.find(f".//pre[@id='program-{program.name}']")) == program.text


def test_a_key_has_its_own_step(owner: Owner, sent: tuple[str, list[Request]]) -> None:
    key, requests = sent
    pair = signatures.new_key()
    row = change(signing_key=pair)
    steps = shown(owner.page(f"{LIST}{key}/explain"))
    stamp, body = int(requests[-1].headers["webhook-timestamp"]), requests[-1].body
    keys, seeds = (signatures.key_of(row.secret),), (signatures.seed_of(pair),)
    both = signatures.standard(keys, requests[-1].event_id, stamp, body, seeds)
    assert f"webhook-signature: {both}" in steps
    assert row.public_key in steps
    change(key_only_since=clock.now())
    page = owner.page(f"{LIST}{key}/explain")
    assert f"webhook-signature: {both.split(' ')[1]}" in shown(page)
    assert "HMAC" not in text(page)
    assert "Check it yourself" not in text(page)
    change(signing_key="whsk_garbled")
    assert "The stored secret or key of this webhook is invalid" in text(owner.page(f"{LIST}{key}/explain"))


def test_a_text_is_its_own_key(owner: Owner, sent: tuple[str, list[Request]]) -> None:
    change(secret="It's a Secret to Everybody")
    page = text(owner.page(f"{LIST}{sent[0]}/explain"))
    assert "The secret itself: 26 bytes." in page
    assert "in the form with whsec_ that the secret’s page shows" in page


def test_it_explains_the_last_attempt_or_another(owner: Owner, sent: tuple[str, list[Request]]) -> None:
    key, _ = sent
    assert "attempt 2 of" in text(owner.page(f"{LIST}{key}/explain"))
    for wrong in ("0", "3", "x", "", "-1", "1" * 30, "²"):
        assert owner.get(f"{LIST}{key}/explain?attempt={wrong}").status_code == 404


def test_an_unsent_one_is_explained_as_if_sent_now(owner: Owner, hook: str) -> None:
    key = store(hook, payload="{}")
    page = owner.page(f"{LIST}{key}/explain")
    assert "if sent now" in text(page)
    event_id, stamp, _ = shown(page)[1].split(".")
    assert abs(int(stamp) - clock.now().timestamp()) < 60
    [header] = [line for line in shown(page) if line.startswith("webhook-signature: ")]
    signature = header.partition(" ")[2]
    sent = {"webhook-id": event_id, "webhook-timestamp": stamp, "webhook-signature": signature}
    Verifier(change().secret).verify("{}", sent)


def test_no_secret_is_on_the_page(owner: Owner, sent: tuple[str, list[Request]]) -> None:
    key, _ = sent
    old = change().secret
    new = signatures.new_secret()
    change(previous_secret=old, secret=new, previous_secret_expires_at=clock.now())
    said = html.unescape(owner.get(f"{LIST}{key}/explain").text)
    assert "whsec_••••••••" in said
    assert "32 bytes" in said
    for secret in (old, new):
        assert secret.removeprefix("whsec_").rstrip("=") not in said
        assert signatures.key_of(secret).hex() not in said


@pytest.mark.parametrize(
    ("ends", "word"), [(20 * HOUR, "also signs"), (-HOUR / 60, "also signed"), (-2 * HOUR, None)]
)
def test_old_and_new_show(owner: Owner, hook: str, ends: timedelta, word: str | None) -> None:
    sent = {"webhook-timestamp": "1764000000"}
    key = store(hook, {"started_at": clock.now() - HOUR, "request_headers": sent})
    old, new = change().secret, signatures.new_secret()
    change(previous_secret=old, secret=new, previous_secret_expires_at=clock.now() + ends)
    page = owner.page(f"{LIST}{key}/explain")
    assert f"The old one {word} until" in plain(page) or not word
    assert ("An attempt before the rotation was signed with the old secret only" in plain(page)) == bool(word)
    event_id = shown(page)[1].split(".")[0]
    keys = (signatures.key_of(new), signatures.key_of(old)) if word else (signatures.key_of(new),)
    expected = signatures.standard(keys, event_id, 1764000000, b"{}")
    assert f"webhook-signature: {expected}" in shown(page)


def test_a_secret_that_is_none_gets_a_sentence(owner: Owner, hook: str) -> None:
    key = store(hook)
    change(secret="typed by hand")
    page = owner.page(f"{LIST}{key}/explain")
    assert "Rotate it on its page." in plain(page)
    assert shown(page) == []


def test_bytes_stored_by_hand_are_shown_too(owner: Owner, app: Flask, hook: str) -> None:
    key = store(hook)
    with app.app_context():
        if db.engine.dialect.name != "sqlite":
            return  # the others take no bytes for text
        with writing() as session:
            session.connection().exec_driver_sql("UPDATE deliveries SET payload = x'7bff7d'")
    assert "7b ff 7d" in text(owner.page(LIST + key))
    assert "3 bytes" in text(owner.page(f"{LIST}{key}/explain"))
    assert owner.get(f"{LIST}{key}/payload").data == b"{\xff}"

"""With a wrong secret key inbound events are stored, and wait until their sender can be proven."""

import logging
from typing import Any

import pytest
from flask import Flask

from guestbook.inbound import event_processor
from guestbook.lib import clock
from guestbook.storage.models import INBOUND, Source
from tests.support import factories, inbound_factories, secret_keys
from tests.support.inbound_factories import SECRET
from tests.support.secret_keys import KEY, NEW_KEY

pytestmark = pytest.mark.usefixtures("any_app")


def test_an_event_waits_and_is_processed_with_the_right_key(caplog: pytest.LogCaptureFixture) -> None:
    source_id = inbound_factories.source(verify="github", secret=SECRET)
    secret_keys.use(NEW_KEY)
    assert inbound_factories.github({"text": "Hello"}, "1").status_code == 202
    with caplog.at_level(logging.WARNING):
        factories.run_pass()
    assert "inbound events wait: Robot. See: " in caplog.text
    [event] = factories.inbound_events()
    assert (event.status, event.attempts, event.claims, event.claimed_by) == ("new", 0, 0, None)
    assert event.due_at > event.received_at
    secret_keys.use(NEW_KEY, KEY)
    assert factories.the(Source, source_id).secret == SECRET
    factories.execute(INBOUND.update().values(due_at=event.received_at))
    inbound_factories.process()
    [event] = factories.inbound_events()
    assert (event.status, event.error) == ("processed", None)


def test_a_pass_warns_once_of_a_source(caplog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_processor, "BATCH", 1)
    shop = inbound_factories.source(verify="github", secret=SECRET, name="Shop", token="shop")
    robot = inbound_factories.source(verify="github", secret=SECRET)
    secret_keys.use(NEW_KEY)
    for number, source_id in enumerate((shop, robot, shop, robot)):
        factories.inbound(source_id, external_id=str(number))
    with caplog.at_level(logging.WARNING):
        inbound_factories.process()
    said = [line for line in caplog.messages if "inbound events wait" in line]
    assert [line.partition(" See: ")[0].rpartition(" ")[2] for line in sorted(said)] == ["Robot.", "Shop."]
    assert all(event.due_at > clock.now() for event in factories.inbound_events())


def test_a_token_proven_before_a_rotation_is_still_proven_after_it(app: Flask) -> None:
    inbound_factories.source(verify="token", secret="opensesame", header="X-Webhook-Token")
    assert inbound_factories.post({"text": "Hi"}, **{"X-Webhook-Token": "opensesame"}).status_code == 202
    secret_keys.use(NEW_KEY, KEY)
    inbound_factories.process()
    [event] = factories.inbound_events()
    assert (event.status, event.error) == ("processed", None)
    assert app.secret_key == NEW_KEY


def test_the_words_for_an_unreadable_secret_prove_nobody() -> None:
    source_id = inbound_factories.source(verify="token", secret="opensesame", header="X-Webhook-Token")
    secret_keys.use(NEW_KEY)
    source = factories.the(Source, source_id)
    assert source.secret == "(unreadable)"
    inbound_factories.post({"text": "Hi"}, **{"X-Webhook-Token": "(unreadable)"})
    [event] = factories.inbound_events()
    verdict = source.verify_request(event.headers, event.body, event.received_at, (NEW_KEY,))
    assert not verdict.ok
    assert "cannot be decrypted" in verdict.sentence
    assert source.secrets_at(event.received_at) == ()

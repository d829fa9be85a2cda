"""With a wrong secret key nothing is sent unsigned and nothing is lost: it waits for the right one."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from standardwebhooks import Webhook as Verifier

from guestbook.background.celery.delivery_consumer import DeliveryConsumer
from guestbook.background.celery.messages import Handover
from guestbook.lib import clock, signatures
from guestbook.lib.current_process import StopFlag
from guestbook.lib.validate import PULL_URL
from guestbook.outbound.delivery_tasks import RECEIVER_COLUMNS, Receivers
from guestbook.queries import webhook_status
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Webhook
from tests.support import factories, secret_keys
from tests.support.api_client import ApiClient, new_token
from tests.support.receiver import Receiver
from tests.support.secret_keys import KEY, NEW_KEY

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNING_KEY = signatures.new_key()


def test_deliveries_wait_unsent_and_go_out_signed_with_the_right_key(
    each_app: Flask,  # noqa: ARG001  it has the tables
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hook = factories.webhook(receiver.url("/a"), secret=SECRET, headers={"X-Key": "hidden"})
    factories.delivery(hook)
    secret_keys.use(NEW_KEY)
    other = factories.webhook(receiver.url("/b"), name="other", secret=SECRET)  # under the new key
    factories.delivery(other)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            factories.run_pass()
    assert [one.path for one in receiver.requests] == ["/b"]
    said = [one for one in caplog.messages if "cannot be decrypted" in one]
    assert len(said) == 1
    assert "deliveries wait: one. See: " in said[0]
    waiting = next(one for one in factories.deliveries() if one.webhook_id == hook)
    assert (waiting.status, waiting.attempts, waiting.claims, waiting.claimed_by) == ("new", 0, 0, None)
    row = factories.the(Webhook, hook)
    assert row.is_unreadable(clock.now())
    assert (row.disabled_at, row.failures_in_a_row, row.paused_until is not None) == (None, 0, True)
    secret_keys.use(NEW_KEY, KEY)
    factories.all_due()
    factories.run_pass()
    [request] = receiver.at("/a")
    Verifier(SECRET).verify(request.body, request.headers)
    assert request.headers["x-key"] == "hidden"


@pytest.mark.usefixtures("app")
def test_a_worker_gives_back_what_it_cannot_sign(receiver: Receiver) -> None:
    hook = factories.webhook(receiver.url("/a"), secret=SECRET)
    until = clock.now() + timedelta(minutes=1)
    delivery = factories.delivery(hook, claimed_by="relay.x.1", due_at=until, claims=1)
    secret_keys.use(NEW_KEY)
    consumer = DeliveryConsumer(db.engine, factories.settings(), 4, StopFlag())
    consumer.deliver([Handover(delivery, "relay.x.1")])
    consumer.finish()
    assert receiver.requests == []
    row = factories.one()
    assert (row.status, row.attempts, row.claimed_by) == ("new", 0, None)
    assert factories.the(Webhook, hook).paused_until is not None


SOON, AGO = clock.now() + timedelta(days=1), clock.now() - timedelta(days=1)


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("columns", "rewritten", "waits"),
    [
        ({}, {}, True),
        ({}, {"secret": SECRET}, False),
        ({"url": "mailto:you@example.org", "format": "email"}, {}, False),
        ({"format": "webmention"}, {}, False),
        ({"previous_secret": SECRET, "previous_secret_expires_at": SOON}, {"secret": SECRET}, True),
        ({"previous_secret": SECRET, "previous_secret_expires_at": AGO}, {"secret": SECRET}, False),
        ({"signing_key": SIGNING_KEY}, {"secret": SECRET}, True),
        ({"signing_key": SIGNING_KEY, "key_only_since": AGO}, {"signing_key": SIGNING_KEY}, False),
        ({"headers": {"X-Key": "hidden"}}, {"secret": SECRET}, True),
    ],
)
def test_pages_and_passes_agree_on_what_has_to_wait(
    columns: dict[str, Any], rewritten: dict[str, Any], waits: bool
) -> None:
    hook = factories.webhook(secret=SECRET, **columns)
    secret_keys.use(NEW_KEY)
    if rewritten:
        change(**rewritten)  # under the new key
    assert factories.the(Webhook, hook).is_unreadable(clock.now()) == waits
    assert readable(Receivers(factories.settings().keyring)) == ([] if waits else [hook])


def test_a_pause_that_outlives_the_wrong_key_says_its_reason(each_app: Flask) -> None:  # noqa: ARG001  it has the tables
    hook = factories.webhook(secret=SECRET, failing_since=AGO, failures_in_a_row=9, unreachable_in_a_row=9)
    factories.delivery(hook)
    secret_keys.use(NEW_KEY)
    factories.run_pass()
    assert "cannot be decrypted with this secret key" in sentence_of(hook)
    secret_keys.use(KEY)
    assert "because its secrets could not be decrypted. Now they can." in sentence_of(hook)
    change(paused_until=SOON, unreachable_in_a_row=0)
    assert "as the receiver requested" in sentence_of(hook)


def sentence_of(webhook_id: str) -> str:
    found = webhook_status.of(db.session(), factories.the(Webhook, webhook_id), clock.now())
    db.session.remove()
    return found.sentence


def readable(receivers: Receivers) -> list[str]:
    """Return the ids of the webhooks that a pass would send to."""
    with database.write(db.engine) as connection:
        rows = connection.execute(select(*RECEIVER_COLUMNS)).all()
        return [row.id for row in receivers.readable(connection, rows, clock.now())]


def change(**values: Any) -> None:
    """Write these columns of every webhook."""
    with database.writing() as session:
        for row in session.query(Webhook):
            for name, value in values.items():
                setattr(row, name, value)
    db.session.remove()


def test_a_listener_gets_a_sentence_instead_of_unsigned_deliveries(app: Flask) -> None:
    api = ApiClient(app, new_token())
    hook = factories.webhook(PULL_URL, secret=SECRET)
    factories.delivery(hook)
    secret_keys.use(NEW_KEY)
    answer = api.get(f"/webhooks/{hook}/pending", 409)
    assert "cannot decrypt" in answer["error"]["message"]
    assert factories.one().claims == 0

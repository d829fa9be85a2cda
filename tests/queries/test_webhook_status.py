"""How webhooks are doing, in words that say what is the matter and what happens next."""

from datetime import timedelta
from typing import Any

import pytest

from guestbook.lib import clock
from guestbook.queries import statistics, webhook_status
from guestbook.queries.webhook_status import WebhookStatus
from guestbook.storage.database import db
from guestbook.storage.models import Webhook
from tests.support import factories, secret_keys
from tests.support.receiver import Receiver


def of(waiting: int = 0, due_in: float = 0, *, is_tried: bool = True, **values: Any) -> WebhookStatus:
    """Store a webhook with so many deliveries that wait, and judge it; its times are hours from now."""
    times = [name for name in values if name.endswith(("_at", "_until", "_since"))]
    hours = {name: clock.now() + timedelta(hours=values[name]) for name in times}
    webhook_id = factories.webhook(**values | hours)
    if is_tried:
        factories.delivery(webhook_id, status="processed", attempts=1, claims=1)
    for _ in range(waiting):
        factories.delivery(webhook_id, due_at=clock.now() + timedelta(minutes=due_in, seconds=5))
    return webhook_status.of(db.session(), db.session.get_one(Webhook, webhook_id), clock.now())


@pytest.mark.parametrize(("values", "word", "sentence"), [
    ({}, "well", "Nothing is wrong, and nothing waits for it."),
    ({"waiting": 1}, "well", "Nothing is wrong, and one delivery waits to be sent."),
    ({"waiting": 2}, "well", "Nothing is wrong, and 2 deliveries wait to be sent."),
    ({"paused_until": -1}, "well", "Nothing is wrong, and nothing waits for it."),
    ({"failing_since": -3, "failures_in_a_row": 4, "waiting": 1, "due_in": 5}, "failing",
        "Failing for 3 hours (4 failures in a row); next probe in 5 minutes. Its one delivery waits for it."),
    ({"failing_since": -3, "failures_in_a_row": 1, "waiting": 1, "due_in": -5}, "failing",
        "Failing for 3 hours (1 failure in a row); next probe now. Its one delivery waits for it."),
    ({"failing_since": -3, "failures_in_a_row": 4}, "failing",
        "Failing for 3 hours (4 failures in a row); nothing waits, so the next event is the next probe."),
    ({"disabled_at": -3, "disabled_reason": "by_hand", "waiting": 12, "paused_until": 1}, "disabled",
        "Disabled by hand 3 hours ago. Its 12 deliveries wait until it is enabled."),
    ({"disabled_at": -3, "disabled_reason": "failing", "waiting": 1, "failing_since": -200}, "disabled",
        "Disabled 3 hours ago because it had no success for five days. "
        "Its one delivery waits until it is enabled."),
    ({"disabled_at": -3, "disabled_reason": "gone"}, "disabled",
        "Disabled 3 hours ago because its receiver said that it is gone. Nothing waits for it."),
])  # fmt: skip
def test_the_word_and_the_sentence(values: dict[str, Any], word: str, sentence: str) -> None:
    found = of(**values)
    assert (found.word, found.sentence) == (word, sentence)
    assert found.waiting == values.get("waiting", 0)


def test_a_webhook_is_healthy_only_if_something_was_sent_to_it() -> None:
    new = of(waiting=1, is_tried=False)
    assert (new.word, new.shown) == ("well", "not tried yet"), "programs keep their word"
    assert new.sentence == "Nothing was sent to it yet, and one delivery waits to be sent."
    assert (of().shown, of(is_tried=False, failing_since=-1).shown) == ("healthy", "failing")


@pytest.mark.usefixtures("each_app")
def test_one_whose_old_deliveries_are_deleted_was_tried(receiver: Receiver) -> None:
    factories.webhook(receiver.url())
    untried = factories.webhook(disabled_at=clock.now(), disabled_reason="by_hand")
    factories.sign()
    factories.run_pass()
    factories.sql("DELETE FROM attempts")
    factories.sql("DELETE FROM deliveries")
    factories.alter(Webhook, untried, disabled_at=None, disabled_reason=None)
    assert [one.shown for one in webhook_status.all_of(db.session(), clock.now())] == [
        "healthy",
        "not tried yet",
    ]
    assert webhook_status.count_states(db.session(), clock.now()) == {"healthy": 1, "not tried yet": 1}


def test_a_pause_says_until_when_and_who_wanted_it() -> None:
    paused_row = of(paused_until=2.01, failing_since=-1, failures_in_a_row=1, waiting=2)
    assert paused_row.word == "paused"
    until = f"{clock.now() + timedelta(hours=2.01):%H:%M} UTC (in 2 hours)"
    told = "as the receiver requested. Its 2 deliveries wait until then."
    assert paused_row.sentence == f"Paused until {until}, {told}"
    away = of(paused_until=2.01, failing_since=-1, unreachable_in_a_row=5)
    assert away.sentence == (
        f"Failing for 1 hour. Paused until {until}, because the receiver could not be reached "
        "5 times in a row; next probe then."
    )


def test_counting_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "COUNT_LIMIT", 2)
    found = of(waiting=5, disabled_at=-1, disabled_reason="by_hand")
    assert found.waiting == 3
    assert "Its more than 2 deliveries wait until it is enabled." in found.sentence


@pytest.mark.usefixtures("each_app")
def test_all_are_judged_alike_on_every_database() -> None:
    for values in ({}, {"failing_since": clock.now(), "failures_in_a_row": 2}):
        factories.delivery(factories.webhook(**values), due_at=clock.now() + timedelta(minutes=5.1))
    session, now = db.session(), clock.now()
    found = webhook_status.all_of(session, now)
    assert [one.word for one in found] == ["well", "failing"]
    assert found == [webhook_status.of(session, one.webhook, now) for one in found]


def test_a_ping_that_has_to_wait_says_why() -> None:
    now = clock.now()
    assert webhook_status.hindrance(Webhook(headers={}), now) is None
    assert webhook_status.hindrance(Webhook(headers={}, disabled_at=now), now) == (
        "The webhook is disabled: the ping waits until it is enabled."
    )
    until = now + timedelta(minutes=5, seconds=1)
    paused = webhook_status.hindrance(Webhook(headers={}, paused_until=until), now)
    assert paused.startswith("The webhook is paused: the ping waits until ")
    assert paused.endswith(" UTC (in 5 minutes).")


@pytest.mark.parametrize(("values", "words"), [
    ({}, "well"),
    ({"failing_since": True}, "failing since "),
    ({"paused_until": True, "failing_since": True}, "paused until "),
    ({"disabled_reason": "by_hand", "paused_until": True}, "disabled by hand"),
    ({"disabled_reason": "failing"}, "disabled: no success for days"),
    ({"disabled_reason": "gone"}, "disabled: the receiver said it is gone"),
])  # fmt: skip
def test_in_short_it_is_told_in_some_words(values: dict[str, Any], words: str) -> None:
    now = clock.now()
    later = now + timedelta(hours=1)
    row = Webhook(headers={}, **{name: later if value is True else value for name, value in values.items()})
    row.disabled_at = now if row.disabled_reason else None
    assert webhook_status.in_short(row, now).startswith(words)


@pytest.mark.parametrize(
    ("waiting", "rest"), [(0, ", and nothing waits."), (2, ": 2 deliveries wait for the right secret key.")]
)
def test_a_webhook_whose_secret_cannot_be_decrypted_waits_for_the_key(waiting: int, rest: str) -> None:
    webhook_id = of(waiting).webhook.id
    secret_keys.use(secret_keys.NEW_KEY)
    webhook = db.session.get_one(Webhook, webhook_id)
    status = webhook_status.of(db.session(), webhook, clock.now())
    assert (status.word, status.waiting) == ("paused", waiting)
    assert status.sentence == webhook_status.UNREADABLE_WEBHOOK + rest
    assert webhook_status.word(webhook, clock.now()) == "paused"
    assert webhook_status.in_short(webhook, clock.now()) == "paused: wrong secret key"

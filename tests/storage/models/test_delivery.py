"""How a webhook is disabled and rotated; when a delivery is leased, and what redelivering makes of it."""

from datetime import UTC, datetime, timedelta

import pytest

from guestbook.lib import signatures
from guestbook.storage.models import Delivery, Webhook

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("claimed_by", "due_at", "leased"),
    [
        ("me", NOW + SECOND, True),
        ("me", NOW, False),
        ("me", NOW - SECOND, False),
        (None, NOW + SECOND, False),
        (None, None, False),
    ],
)
def test_it_is_leased_while_a_claim_has_not_run_out(
    claimed_by: str | None, due_at: datetime | None, leased: bool
) -> None:
    assert Delivery(claimed_by=claimed_by, due_at=due_at).is_leased(NOW) is leased


@pytest.mark.parametrize("status", ["new", "processed", "failed"])
def test_a_redelivery_makes_it_due_with_the_whole_schedule_before_it(status: str) -> None:
    row = Delivery(
        id="1", event_id="2", payload="{}", status=status, attempts=3, claims=4, schedule_start=0,
        due_at=NOW + SECOND if status == "new" else None, finished_at=None if status == "new" else NOW,
        last_status_code=500, last_error="The receiver answered 500.",
    )  # fmt: skip
    row.requeue(NOW)
    assert (row.status, row.due_at, row.claimed_by, row.finished_at) == ("new", NOW, None, None)
    assert (row.schedule_start, row.attempts, row.claims) == (3, 3, 4)
    assert (row.id, row.event_id, row.payload) == ("1", "2", "{}")
    assert row.last_error == "The receiver answered 500."


def test_the_first_reason_to_disable_it_stays() -> None:
    webhook = Webhook()
    webhook.disable(NOW, "gone")
    webhook.disable(NOW + DAY, "by_hand")
    assert (webhook.disabled_at, webhook.disabled_reason) == (NOW, "gone")


def test_a_rotation_keeps_the_old_secret_for_a_day_or_as_long_as_asked() -> None:
    webhook = Webhook(secret=signatures.new_secret())
    old = webhook.secret
    webhook.rotate_secret(NOW)
    assert (webhook.previous_secret, webhook.previous_secret_expires_at) == (old, NOW + DAY)
    assert webhook.secret != old
    assert len(signatures.key_of(webhook.secret)) == 32
    webhook.rotate_secret(NOW, timedelta(0))
    assert webhook.previous_secret_expires_at == NOW

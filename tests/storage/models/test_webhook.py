"""How a webhook is disabled and how its secret changes."""

from datetime import UTC, datetime, timedelta

from guestbook.lib import signing
from guestbook.storage.models import Webhook

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_first_reason_to_disable_it_stays() -> None:
    webhook = Webhook()
    webhook.disable(NOW, "gone")
    webhook.disable(NOW + DAY, "by_hand")
    assert (webhook.disabled_at, webhook.disabled_reason) == (NOW, "gone")


def test_a_rotation_keeps_the_old_secret_for_a_day_or_as_long_as_asked() -> None:
    webhook = Webhook(secret=signing.new_secret())
    old = webhook.secret
    webhook.rotate_secret(NOW)
    assert (webhook.previous_secret, webhook.previous_secret_expires_at) == (old, NOW + DAY)
    assert webhook.secret != old
    assert len(signing.key_of(webhook.secret)) == 32
    webhook.rotate_secret(NOW, timedelta(0))
    assert webhook.previous_secret_expires_at == NOW

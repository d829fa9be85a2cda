"""When a delivery is sent next, in words."""

from datetime import datetime, timedelta

from guestbook.lib import clock
from guestbook.storage.models import Delivery, Webhook

LIVE_WINDOW = timedelta(minutes=1)  # a page refreshes itself when the result is due this soon


def outlook(delivery: Delivery, webhook: Webhook, now: datetime, is_behind: bool) -> str:
    """Say when it is sent next: in short, and details after a comma.

    `is_behind` says that it waits behind an earlier one about the same comment.
    """
    if delivery.due_at is None:
        return ""
    if delivery.is_leased(now):
        return "its receiver has fetched it" if webhook.is_pulled else "a pass is sending it now"
    if webhook.disabled_at:
        return "waits, because the webhook is disabled"
    if webhook.paused_until and webhook.paused_until > max(now, delivery.due_at):
        return f"{clock.ago(webhook.paused_until)}, because the webhook is paused until then"
    if is_behind:
        return "after an earlier one, because the events about a comment are sent in order"
    if delivery.due_at > now:
        return clock.ago(delivery.due_at)
    return "waits until its receiver fetches it" if webhook.is_pulled else "due now, sent with the next pass"


def is_live(delivery: Delivery, webhook: Webhook, now: datetime) -> bool:
    """Whether the result may arrive within a minute."""
    if delivery.due_at is None or webhook.disabled_at:
        return False
    until = webhook.paused_until or now
    return delivery.is_leased(now) or max(delivery.due_at, until) <= now + LIVE_WINDOW

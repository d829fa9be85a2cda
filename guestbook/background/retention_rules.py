"""What is too old, in SQL that all databases understand. An idle pass uses it without SQLAlchemy."""

from datetime import datetime, timedelta

from guestbook.lib import clock, ids, rate_counters
from guestbook.lib.clock import MODERATION_LINK_LASTS
from guestbook.lib.validate import PULL_URL, REPLY_MAIL
from guestbook.settings import Settings

KEEP_BIN_REQUESTS = timedelta(days=7)
KEEP_UNPROVEN = timedelta(days=7)  # of inbound events that were refused

# A table, and which of its rows go. What was redelivered begins again. What waits for a webhook or source
# goes only when that was disabled for as long: the owner may not know yet. The words of spam stay in no
# payload: a comment that was told of goes when its deliveries are gone.
RULES = (
    ("deliveries", "status = 'processed' AND finished_at < :keep_processed"),
    ("deliveries", "status = 'failed' AND finished_at < :keep_failed"),
    (
        "deliveries",
        "status = 'new' AND due_at < :keep_failed AND webhook_id IN"
        f" (SELECT id FROM webhooks WHERE disabled_at < :keep_failed OR url = '{PULL_URL}')",
    ),
    ("inbound_events", "status = 'processed' AND processed_at < :keep_processed"),
    ("inbound_events", "status = 'failed' AND processed_at < :keep_failed"),
    (
        "inbound_events",
        "status = 'new' AND due_at < :keep_failed"
        " AND source_id IN (SELECT id FROM sources WHERE disabled_at < :keep_failed)",
    ),
    (
        "inbound_events",
        "source_id IN (SELECT id FROM sources WHERE verify <> 'none') AND status IN ('processed', 'failed')"
        " AND unproven_bytes > 0 AND id < :keep_unproven_id AND processed_at < :keep_unproven",
    ),
    (
        "comments",
        "status = 'spam' AND id < :keep_spam_id AND spam_since < :keep_spam"
        " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.comment_id = comments.id)"
        " AND NOT EXISTS (SELECT 1 FROM inbound_events WHERE inbound_events.comment_id = comments.id)",
    ),
    ("reply_addresses", "created_at < :keep_addresses"),
    (
        "reply_addresses",
        "mailed_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM deliveries"
        f" WHERE deliveries.comment_id = reply_addresses.id AND status = 'new' AND event = '{REPLY_MAIL}')",
    ),
    ("holds", "decided_at < :keep_holds"),
    ("refusals", "day < :keep_refusals"),
    ("passes", "started_at < :keep_passes"),
    ("bin_requests", "received_at < :keep_bin_requests"),
    ("sessions", "expires_at < :now"),
    ("receiver_links", "expires_at < :keep_receiver_links"),
    ("limits", "last_at < :keep_limits"),
    ("idempotency_keys", "created_at < :keep_idempotency_keys"),
    ("seen_signatures", "seen_at < :keep_seen_signatures"),
    ("audit_log", "id < :keep_audit_id AND at < :keep_audit"),
)


def moments(settings: Settings, now: datetime) -> dict[str, str]:
    """Return the values of the names with a colon."""
    ages = {
        "now": timedelta(0),
        "keep_processed": timedelta(days=settings.keep_processed_days),
        "keep_failed": timedelta(days=settings.keep_failed_days),
        "keep_spam": timedelta(days=settings.keep_spam_days),
        "keep_refusals": timedelta(days=90),
        "keep_audit": timedelta(days=365),
        "keep_idempotency_keys": timedelta(hours=24),
        "keep_seen_signatures": timedelta(days=30),
        "keep_receiver_links": timedelta(days=30),  # after their end
        "keep_unproven": KEEP_UNPROVEN,
        "keep_addresses": timedelta(days=30),
        "keep_holds": MODERATION_LINK_LASTS,  # No link lives longer after the decision.
        "keep_passes": timedelta(days=30),
        "keep_bin_requests": KEEP_BIN_REQUESTS,
        "keep_limits": rate_counters.FORGET_TRIES_AFTER,
    }
    values = {name: clock.to_text(now - age) for name, age in ages.items()}
    # Ids begin with a time, so they find the old rows without another index.
    with_ids = ("keep_unproven", "keep_spam", "keep_audit")
    return values | {f"{name}_id": ids.first_of(now - ages[name]) for name in with_ids}

"""A webhook knows when its URL or format last changed, and a link for its receiver when it was last used."""

from guestbook.storage.migrations import steps

revision = "0023"
down_revision = "0022"

# The audit log names the changed fields. No other field of a webhook has one of these words in its name.
LAST_MOVE = """
SELECT MAX(audit_log.at) FROM audit_log WHERE audit_log.object = 'webhook' AND audit_log.action = 'changed'
AND audit_log.object_id = webhooks.id AND (audit_log.detail LIKE '%url%' OR audit_log.detail LIKE '%format%')
"""


def upgrade() -> None:
    """Add both columns. The audit log says of the past when a webhook was moved."""
    steps.add_column("receiver_links", "last_used_at", "VARCHAR(24)")
    steps.add_column("webhooks", "moved_at", "VARCHAR(24)")
    steps.change_rows(f"UPDATE webhooks SET moved_at = ({LAST_MOVE}) WHERE moved_at IS NULL")

"""Webhooks may sign with a key pair, and send GitHub's headers."""

from guestbook.storage.migrations import steps

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the columns. Each webhook signs with its secret until the owner wants something else."""
    steps.add_column("webhooks", "github_headers_since", "VARCHAR(24)")
    steps.add_column("webhooks", "signing_key", "VARCHAR(100)")
    steps.add_column("webhooks", "previous_signing_key", "VARCHAR(100)")
    steps.add_column("webhooks", "previous_signing_key_expires_at", "VARCHAR(24)")
    steps.add_column("webhooks", "key_only_since", "VARCHAR(24)")

"""Secrets are encrypted with a key that is derived from the secret key."""

from guestbook.storage.migrations import steps

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Make room, because an encrypted secret is longer, and encrypt what is there."""
    names = ("secret", "previous_secret", "signing_key", "previous_signing_key")
    steps.make_texts("webhooks", *names)
    steps.make_texts("sources", "secret", "previous_secret")
    steps.encrypt()

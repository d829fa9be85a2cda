"""Secrets are encrypted with a key that is derived from the secret key."""

from guestbook.storage.migrations import steps
from guestbook.storage.stored_secrets import SecretColumn

revision = "0020"
down_revision = "0019"

# A copy that stays: the list in stored_secrets follows later versions of the tables.
SECRETS_THEN = (
    SecretColumn("webhooks", "headers", "webhook header", "values"),
    SecretColumn("webhooks", "secret", "webhook secret"),
    SecretColumn("webhooks", "previous_secret", "webhook secret"),
    SecretColumn("webhooks", "signing_key", "webhook key"),
    SecretColumn("webhooks", "previous_signing_key", "webhook key"),
    SecretColumn("sources", "secret", "source secret"),
    SecretColumn("sources", "previous_secret", "source secret"),
    SecretColumn("settings", "value", "second factor", "secret", key="name", only="second_factor"),
    SecretColumn("settings", "value", "cron token", key="name", only="cron_token"),
)


def upgrade() -> None:
    """Make room, because an encrypted secret is longer, and encrypt what is there."""
    names = ("secret", "previous_secret", "signing_key", "previous_signing_key")
    steps.make_texts("webhooks", *names)
    steps.make_texts("sources", "secret", "previous_secret")
    steps.encrypt(SECRETS_THEN)

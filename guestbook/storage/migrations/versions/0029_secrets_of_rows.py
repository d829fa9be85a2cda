"""A secret is encrypted for its row, so that a copy in another row cannot be read."""

from guestbook.storage.migrations import steps

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Encrypt them again. Those that cannot be decrypted now stay, and encrypt-secrets does it later."""
    steps.encrypt()

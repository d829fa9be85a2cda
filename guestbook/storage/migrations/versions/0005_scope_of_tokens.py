"""API tokens have a scope and may expire, and show their last use."""

from guestbook.storage.migrations import steps

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; a token that is there may do everything, as before."""
    steps.add_column("tokens", "scope", "VARCHAR(10) NOT NULL DEFAULT 'manage'")
    steps.add_column("tokens", "expires_at", "VARCHAR(24)")
    steps.add_column("tokens", "last_used_at", "VARCHAR(24)")

"""Sources verify any HMAC and Ed25519, and may forward large payloads."""

from guestbook.storage.migrations import steps

revision = "0017"
down_revision = "0016"
KINDS = "'github', 'standard', 'stripe', 'slack', 'hmac', 'ed25519', 'token', 'none'"


def upgrade() -> None:
    """Add the columns, make room for large payloads, and let a source have the new kinds of verification."""
    steps.add_column("sources", "scheme", "TEXT")
    steps.add_column("sources", "forwarded_in_full_since", "VARCHAR(24)")
    steps.widen_text("deliveries", "payload")
    steps.replace_check("sources", "sources_verify", f"verify IN ({KINDS})")

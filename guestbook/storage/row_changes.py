"""Enable and disable webhooks and sources, and write that down. Commands, pages and the API call these."""

from sqlalchemy.orm import Session

from guestbook.lib import clock
from guestbook.storage import audit_log, new_work
from guestbook.storage.models import Source, Webhook


def enable(session: Session, row: Webhook | Source) -> None:
    """Enable a row; a webhook also before its pause is over."""
    row.enable()
    session.flush()
    new_work.note(session.connection())  # what has waited for this
    audit_log.record_row(session, "enabled", row)


def disable(session: Session, row: Webhook | Source) -> None:
    """Disable a row as the owner wants."""
    was_enabled = row.disabled_at is None
    row.disable(clock.now())
    session.flush()
    if was_enabled:
        audit_log.record_row(session, "disabled", row)


def note_reveal(session: Session, row: Webhook | Source) -> None:
    """Write down that its secret is shown to the one who acts."""
    if row.secret:
        audit_log.record_row(session, "revealed", row, "secret")

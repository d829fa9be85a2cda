"""How long comments have waited for the owner: for `status` and the first admin page."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.storage.models import Hold


def oldest(session: Session) -> datetime | None:
    """Return since when the comment that has waited longest is held; None when none waits."""
    query = select(Hold.held_at).where(Hold.decided_at.is_(None)).order_by(Hold.held_at)
    return session.scalar(query.limit(1))

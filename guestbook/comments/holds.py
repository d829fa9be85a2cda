"""Holds: since when a comment waits for the owner, its links, and the reminder of all that wait."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, update
from sqlalchemy.orm import Session

from guestbook.comments.moderation_link import SignedLink
from guestbook.lib import clock, unit_of_work
from guestbook.lib.moderation_times import LINK_LASTS, REMIND_AFTER
from guestbook.outbound import outbox
from guestbook.settings import Settings
from guestbook.storage.models import Comment, Hold

# A reminder also tells of comments that have waited half that long. So there are at most two a day, however
# many comments come, and each comment is in one of them.
ALONG = REMIND_AFTER / 2
SHOWN_HOLDS = 10  # comments in a reminder: it stays under 20 kB
COMMENTS_WAITING = "comments.waiting"

Data = dict[str, Any]


def begin(session: Session, comment: Comment) -> None:
    """Note that the comment is held from now on. Links of an earlier hold stay dead."""
    now = unit_of_work.now()
    hold = session.get(Hold, comment.id) or Hold(comment_id=comment.id)
    hold.held_at, hold.remind_at, hold.decided_at, hold.action = now, now + REMIND_AFTER, None, None
    session.add(hold)
    session.flush()


def end(session: Session, comment: Comment) -> None:
    """Note that the owner has decided. Its links are dead."""
    hold = session.get(Hold, comment.id)
    if hold and hold.decided_at is None:
        hold.remind_at, hold.decided_at, hold.action = None, unit_of_work.now(), None
        session.flush()


def link(session: Session, comment: Comment, settings: Settings) -> dict[str, str] | None:
    """Return the link with which a held comment is moderated, as payloads have it."""
    hold = session.get(Hold, comment.id) if comment.status == "held" else None
    return _link(hold.comment_id, hold.held_at, settings) if hold else None


def anything_to_remind(connection: Connection) -> bool:
    """Whether the owner should be reminded now."""
    return connection.scalar(select(Hold.comment_id).where(_is_due(timedelta(0))).limit(1)) is not None


def remind(connection: Connection, settings: Settings) -> int:
    """Publish one `comments.waiting` for all comments that have waited long enough; return how many.

    Each comment is in one reminder. The event has no words of visitors, so nothing has to be erased in it.
    """
    due = select(Hold.comment_id).where(_is_due(timedelta(0))).limit(1).with_for_update()
    if connection.scalar(due) is None:
        return 0  # another pass was faster
    oldest = _held(Hold.comment_id, Hold.held_at).where(_is_due(ALONG)).limit(SHOWN_HOLDS)
    rows = connection.execute(oldest).all()
    if rows:
        plain, linked = _waiting(connection, rows, settings)
        outbox.publish(connection, COMMENTS_WAITING, plain, settings, for_owner=linked)
    told = connection.execute(update(Hold).where(_is_due(ALONG)).values(remind_at=None))
    return int(told.rowcount)


def _held(*columns: Any) -> Select[Any]:
    """Return the query for holds that wait for the owner, the oldest first."""
    query = select(*columns).join(Comment, Comment.id == Hold.comment_id)
    return query.where(Hold.decided_at.is_(None), Comment.status == "held").order_by(Hold.held_at)


def _waiting(connection: Connection, rows: Sequence[Row[Any]], settings: Settings) -> tuple[Data, Data]:
    """Return the event's data, without and with links."""
    count, since = connection.execute(_held(func.count(), func.min(Hold.held_at)).order_by(None)).one()
    facts = {
        "count": count,
        "since": clock.to_text(since),
        "url": f"{settings.base_url}/admin/comments/?status=held",
    }
    plain = [{"id": row.comment_id, "held_at": clock.to_text(row.held_at)} for row in rows]
    links = [{"moderation": _link(row.comment_id, row.held_at, settings)} for row in rows]
    linked = [one | more for one, more in zip(plain, links, strict=True)]
    return {"waiting": facts | {"comments": plain}}, {"waiting": facts | {"comments": linked}}


def _is_due(ahead: timedelta) -> ColumnElement[bool]:
    """Return the condition for reminders due then. One farther away than any is from before a clock jump."""
    now = unit_of_work.now()
    return (Hold.remind_at <= now + ahead) | (Hold.remind_at > now + REMIND_AFTER)


def _link(comment_id: str, held_at: datetime, settings: Settings) -> dict[str, str]:
    expires_at = unit_of_work.now() + LINK_LASTS
    return SignedLink(comment_id, held_at, expires_at).public(settings.base_url, settings.secret_key)

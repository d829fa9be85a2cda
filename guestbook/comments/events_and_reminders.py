"""What webhooks get about comments, in the caller's transaction: events, and reminders of held ones.

First come the links with which held comments are moderated. Anybody who has one may decide, without a login:

    /moderate/  comment's id  held since  expires  signature
                32 digits     12          12       32          all hexadecimal

Chat services and mail programs make links of bare URLs. The signature proves that a token is ours, so no
table lists them. A hold says whether one was used. A link works for one hold: a comment that is held again
gets a new one. Then come holds, reminders, and the events about one comment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, update
from sqlalchemy.orm import Session

from guestbook.lib import clock, signed_links
from guestbook.lib.clock import MODERATION_LINK_LASTS, REMIND_AFTER
from guestbook.outbound import event_publisher
from guestbook.outbound.event_publisher import NewEvent
from guestbook.settings import Settings
from guestbook.storage.models import Comment, Hold, Reply, Webhook

MODERATION = "moderation"  # the purpose of the signature


@dataclass(frozen=True, slots=True)
class SignedLink:
    """What a link says: which comment it is about, since when that was held, and when the link expires."""

    comment_id: str
    held_at: datetime
    expires_at: datetime

    def token(self, secret_key: str) -> str:
        """Return the last part of its URL."""
        moments = self.held_at, self.expires_at
        return signed_links.token_of(self.comment_id, moments, MODERATION, secret_key)


def read_link(token: str, secret_keys: Sequence[str]) -> SignedLink | None:
    """Return what a token says, also when it has expired; None if none of the keys has signed it."""
    signed = signed_links.read(token, MODERATION, secret_keys, times=2)
    return SignedLink(signed[0], *signed[1]) if signed else None


# A reminder also tells of comments that have waited half that long. So there are at most two a day, however
# many comments come, and each comment is in one of them.
ALONG = REMIND_AFTER / 2
SHOWN_HOLDS = 10  # comments in a reminder: it stays under 20 kB

Data = dict[str, Any]


def begin_hold(session: Session, comment: Comment) -> None:
    """Note that the comment is held from now on. Links of an earlier hold stay dead."""
    now = clock.now()
    hold = session.get(Hold, comment.id) or Hold(comment_id=comment.id)
    hold.held_at, hold.remind_at, hold.decided_at, hold.action = now, now + REMIND_AFTER, None, None
    session.add(hold)
    session.flush()


def end_hold(session: Session, comment: Comment) -> None:
    """Note that the owner has decided. Its links are dead."""
    hold = session.get(Hold, comment.id)
    if hold and hold.decided_at is None:
        hold.remind_at, hold.decided_at, hold.action = None, clock.now(), None
        session.flush()


def is_reminder_due(connection: Connection, *, to_lock: bool = False) -> bool:
    """Whether the owner should be reminded now."""
    due = select(Hold.comment_id).where(_is_due(timedelta(0))).limit(1)
    return connection.scalar(due.with_for_update() if to_lock else due) is not None


def remind(connection: Connection, settings: Settings) -> int:
    """Publish one `comments.waiting` for all comments that have waited long enough; return how many.

    Each comment is in one reminder. The event has no words of visitors, so nothing has to be erased in it.
    """
    if not is_reminder_due(connection, to_lock=True):
        return 0  # Another pass was faster.
    oldest = _held(Hold.comment_id, Hold.held_at).where(_is_due(ALONG)).limit(SHOWN_HOLDS)
    rows = connection.execute(oldest).all()
    if rows:
        plain, linked = _waiting(connection, rows, settings)
        event_publisher.publish(connection, "comments.waiting", plain, settings, for_owner=linked)
    told = connection.execute(update(Hold).where(_is_due(ALONG)).values(remind_at=None))
    return int(told.rowcount)


def _held(*columns: Any) -> Select[Any]:
    """Return the query for holds that wait for the owner, the oldest first."""
    query = select(*columns).join(Comment, Comment.id == Hold.comment_id)
    return query.where(Hold.decided_at.is_(None), Comment.status == "held").order_by(Hold.held_at)


def _waiting(connection: Connection, rows: Sequence[Row[Any]], settings: Settings) -> tuple[Data, Data]:
    """Return the event's data, without and with links."""
    count, since = connection.execute(_held(func.count(), func.min(Hold.held_at)).order_by(None)).one()
    url = f"{settings.base_url}/admin/comments/?status=held"
    facts = {"count": count, "since": clock.to_text(since), "url": url}
    plain = [{"id": row.comment_id, "held_at": clock.to_text(row.held_at)} for row in rows]
    links = [{"moderation": _new_link(row.comment_id, row.held_at, settings)} for row in rows]
    linked = [one | more for one, more in zip(plain, links, strict=True)]
    return {"waiting": facts | {"comments": plain}}, {"waiting": facts | {"comments": linked}}


def _is_due(ahead: timedelta) -> ColumnElement[bool]:
    """Return the condition for reminders due then. One farther away than any is from before a clock jump."""
    now = clock.now()
    return (Hold.remind_at <= now + ahead) | (Hold.remind_at > now + REMIND_AFTER)


def _new_link(comment_id: str, held_at: datetime, settings: Settings) -> dict[str, str]:
    """Return the link with which a held comment is moderated, as payloads have it."""
    link = SignedLink(comment_id, held_at, clock.now() + MODERATION_LINK_LASTS)
    url = f"{settings.base_url}{signed_links.MODERATION_PATH}/{link.token(settings.secret_key)}"
    return {"url": url, "expires_at": clock.to_text(link.expires_at)}


def tell_first(session: Session, comment: Comment, settings: Settings, answer: Reply | None = None) -> None:
    """Publish all events of a comment that this transaction has stored, and of the answer it comes with."""
    events = [_event(session, "comment.created", comment, settings)]
    if comment.status == "published":
        events.append(_event(session, "comment.published", comment, settings))
    if answer:
        events.append(_event(session, "comment.replied", comment, settings, answer))
    event_publisher.publish_first(session.connection(), events, settings, comment.id, comment.last_sequence)


def tell(
    session: Session,
    event: str,
    comment: Comment,
    settings: Settings,
    reply: Reply | None = None,
    **which: Any,
) -> int:
    """Publish an event of a comment as `publish` does; `which` has its webhooks, or the past event."""
    if not comment.goes_to_webhooks:
        return 0
    _, data, for_owner = _event(session, event, comment, settings, reply)
    about = {"comment_id": comment.id, "for_owner": for_owner, **which}
    return event_publisher.publish(session.connection(), event, data, settings, **about)


def announce_restored(session: Session, comment: Comment, settings: Settings, *, is_news: bool) -> None:
    """Publish `comment.created` of one that is back, for webhooks that have not had it.

    Unless it `is_news`, these are only those for which `comment.deleted` has superseded it.
    """
    if not is_news:
        tell_missed(session, "comment.created", comment, settings)
        return
    at, connection = comment.last_announced_at, session.connection()
    already = event_publisher.webhooks_notified(connection, "comment.created", comment.id, at, settings)
    tell(session, "comment.created", comment, settings, leave_out=already)
    comment.announced_at = clock.now()


def tell_missed(
    session: Session, event: str, comment: Comment, settings: Settings, reply: Reply | None = None
) -> None:
    """Publish an event of a comment that is back, for webhooks where `comment.deleted` has superseded it."""
    missed = event_publisher.webhooks_superseded(session.connection(), event, comment.id)
    if missed:
        tell(session, event, comment, settings, reply, only=missed)


def tell_websites(session: Session, comment: Comment, before: dict[str, Any], settings: Settings) -> None:
    """Let websites that take webmentions read an edited comment again; `before` is its public part then."""
    connection = session.connection()
    webhooks = set(connection.scalars(select(Webhook.id).where(Webhook.format == "webmention")))
    shown = comment.public(settings.base_url)
    for public in (before, shown) if before["website"] != shown["website"] else (shown,):
        data = {"comment": public}
        if webhooks:
            event_publisher.publish(
                connection, "comment.published", data, settings, comment_id=comment.id, only=webhooks
            )


def _event(
    session: Session, event: str, comment: Comment, settings: Settings, reply: Reply | None = None
) -> NewEvent:
    data = {"comment": comment.public(settings.base_url)} | ({"reply": reply.public()} if reply else {})
    is_held = event == "comment.created" and comment.status == "held"
    hold = session.get(Hold, comment.id) if is_held else None
    if not hold and not comment.note:
        return NewEvent(event, data)
    links = {"moderation": _new_link(comment.id, hold.held_at, settings)} if hold else {}
    return NewEvent(event, data, data | {"comment": comment.for_owner(settings.base_url), **links})

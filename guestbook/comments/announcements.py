"""What webhooks get about a comment: its events, in the caller's transaction."""

from collections.abc import Collection
from typing import Any

from sqlalchemy.orm import Session

from guestbook.comments import holds
from guestbook.lib import clock
from guestbook.outbound import outbox
from guestbook.outbound.outbox import NewEvent, PastEvent
from guestbook.settings import Settings
from guestbook.storage.models import Comment, Reply


def tell_first(session: Session, comment: Comment, settings: Settings, answer: Reply | None = None) -> None:
    """Publish all events of a comment that this transaction has stored, and of the answer it comes with."""
    events = [_event(session, "comment.created", comment, settings)]
    if comment.status == "published":
        events.append(_event(session, "comment.published", comment, settings))
    if answer:
        events.append(_event(session, "comment.replied", comment, settings, reply=answer.public()))
    outbox.publish_first(session.connection(), events, settings, comment.id, comment.last_sequence)


def tell(
    session: Session,
    event: str,
    comment: Comment,
    settings: Settings,
    *,
    leave_out: Collection[str] = (),
    only: Collection[str] | None = None,
    past: PastEvent | None = None,
    **more: Any,
) -> None:
    """Publish an event of a comment, `past` or new. `leave_out` and `only` narrow the webhooks down by id."""
    if comment.goes_to_webhooks:
        _, data, for_owner = _event(session, event, comment, settings, **more)
        outbox.publish(
            session.connection(),
            event,
            data,
            settings,
            comment_id=comment.id,
            leave_out=leave_out,
            only=only,
            for_owner=for_owner,
            past=past,
        )


def announce_restored(session: Session, comment: Comment, settings: Settings, *, is_news: bool) -> None:
    """Publish `comment.created` of one that is back, for webhooks that have not had it.

    Unless it `is_news`, these are only those for which `comment.deleted` has superseded it.
    """
    if not is_news:
        tell_missed(session, "comment.created", comment, settings)
        return
    at, connection = comment.last_announced_at, session.connection()
    already = outbox.webhooks_notified(connection, "comment.created", comment.id, at, settings)
    tell(session, "comment.created", comment, settings, leave_out=already)
    comment.announced_at = clock.now()


def tell_missed(session: Session, event: str, comment: Comment, settings: Settings, **more: Any) -> None:
    """Publish an event of a comment that is back, for webhooks where `comment.deleted` has superseded it."""
    missed = outbox.webhooks_superseded(session.connection(), event, comment.id)
    if missed:
        tell(session, event, comment, settings, only=missed, **more)


def tell_websites(session: Session, comment: Comment, before: dict[str, Any], settings: Settings) -> None:
    """Let websites that take webmentions read an edited comment again; `before` is its public part then."""
    connection = session.connection()
    webhooks = outbox.mentioning(connection)
    shown = comment.public(settings.base_url)
    for public in (before, shown) if before["website"] != shown["website"] else (shown,):
        data = {"comment": public}
        if webhooks:
            outbox.publish(
                connection, "comment.published", data, settings, comment_id=comment.id, only=webhooks
            )


def _event(session: Session, event: str, comment: Comment, settings: Settings, **more: Any) -> NewEvent:
    data = {"comment": comment.public(settings.base_url), **more}
    link = holds.link(session, comment, settings) if event == "comment.created" else None
    if not link and not comment.note:
        return NewEvent(event, data)
    links = {"moderation": link} if link else {}
    return NewEvent(event, data, data | {"comment": comment.for_owner(settings.base_url), **links})

"""Act on a decision in the caller's transaction: write a comment, remove one, pass an event on."""

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from guestbook.comments import book, submission
from guestbook.comments.spam.spam_rules import Classification
from guestbook.inbound import mentions
from guestbook.inbound.verify_and_decide import (
    BECAME,
    Effect,
    ForwardEvent,
    InboundDecision,
    RemoveComment,
    RemoveMention,
    WriteComment,
    WriteMention,
)
from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.outbound import outbox
from guestbook.settings import Settings
from guestbook.storage import plain_sql, preferences
from guestbook.storage.audit_log import Actor
from guestbook.storage.models import Comment, InboundEvent, Origin, Source, Webhook

FORWARDED = "inbound.received"
PROVEN = "Its source proved that it is from there."


def carry_out(
    session: Session, event_id: str, source: Source, decision: InboundDecision, settings: Settings
) -> Effect:
    """Do the action of a decision, if it has one."""
    action = decision.action
    if isinstance(action, WriteComment):
        return write_comment(session, event_id, source, action, settings)
    if isinstance(action, RemoveComment):
        return _remove_comment(session, source, action, settings)
    if isinstance(action, WriteMention):
        return mentions.write_comment(session, source, action, settings)
    if isinstance(action, RemoveMention):
        return mentions.remove_comment(session, action, settings)
    if isinstance(action, ForwardEvent):
        return _forward(session, action, settings)
    home = decision.home
    return Effect(decision.note or "", _comment_at(session, home, settings) if home else None)


def write_comment(
    session: Session, event_id: str, source: Source, action: WriteComment, settings: Settings
) -> Effect:
    """Sign the book, unless this event or another one about the same comment has done so."""
    made = session.scalar(select(InboundEvent.comment_id).where(InboundEvent.id == event_id))
    if made:
        return Effect(f"{BECAME} before.", made)
    home = action.remote.home if action.remote else None
    if known := _comment_at(session, home, settings) if home else None:
        return Effect("The book has this comment already.", known)
    told_at = clock.now() if source.relayed_since else None
    origin = Origin(name=source.name, url=home, told_at=told_at, source_id=source.id)
    found = _classified(session, action, settings)
    row = book.sign(session, action.draft, found, form_key=None, settings=settings, origin=origin)
    return Effect.of_new(row)


def _classified(session: Session, action: WriteComment, settings: Settings) -> Classification:
    wanted = preferences.read(session)
    if action.is_proven and wanted.moderation != "all":
        return Classification("published", (PROVEN,))  # the owner trusts it: release notes are full of links
    return submission.classified(plain_sql.through(session), action.draft, wanted, settings.secret_key)


def _comment_at(session: Session, home: str, settings: Settings) -> str | None:
    """Return the id of the comment with that address, whatever its status."""
    ours = f"{settings.base_url}/comments/"
    if home.startswith(ours):
        return session.scalar(select(Comment.id).where(Comment.id == home.removeprefix(ours)))
    return session.scalar(select(Origin.comment_id).where(Origin.url == home))


def _remove_comment(session: Session, source: Source, action: RemoveComment, settings: Settings) -> Effect:
    """Move the comment with that home to the trash, if it came from this source and is in the book."""
    has_made = exists().where(
        InboundEvent.comment_id == Comment.id,
        InboundEvent.source_id == source.id,
        InboundEvent.note.startswith(BECAME),
    )
    # A web server of an earlier program may have stored it after the upgrade, and then without the id.
    is_mine = (Origin.source_id == source.id) | (Origin.source_id.is_(None) & has_made)
    mine = select(Comment).join(Origin).where(Origin.url == action.home, is_mine)
    row = session.scalars(mine.with_for_update(of=Comment)).first()
    if row is None or not row.is_known:
        return Effect("The book does not have this comment.", _comment_at(session, action.home, settings))
    book.move(session, row, "trash", settings, by=Actor("source", name=source.name))
    return Effect("The other book took it out, so it went into the trash.", row.id)


def _forward(session: Session, action: ForwardEvent, settings: Settings) -> Effect:
    outbox.publish(session.connection(), FORWARDED, action.data, settings)
    wanting = select(func.count()).select_from(Webhook).where(Webhook.events.contains(FORWARDED))
    count = session.scalar(wanting) or 0
    return Effect(f"Passed on to {counted(count, 'webhook')}.")

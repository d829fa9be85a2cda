"""Act on a decision in the caller's transaction: write, change or remove a comment, pass an event on."""

from typing import NamedTuple

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from guestbook.comments import comment_actions, comment_form, submission
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam.spam_rules import Classification
from guestbook.inbound.verify_and_decide import (
    ForwardEvent,
    InboundDecision,
    RemoveComment,
    UpdateMention,
    WriteComment,
)
from guestbook.lib import clock
from guestbook.lib.errors import Translatable
from guestbook.lib.text import counted
from guestbook.outbound import event_publisher
from guestbook.settings import Settings
from guestbook.storage import plain_sql, preferences
from guestbook.storage.audit_log import Actor
from guestbook.storage.models import Comment, InboundEvent, Origin, Source

FORWARDED = "inbound.received"
PROVEN = "Its source proved that it is from there."
BECAME = "It became a comment"  # the beginning of the note of an event that made one
NO_LONGER = "Its page was deleted, or no longer links here."  # A later mention brings such a comment back.
NOT_OURS = "The book has the comment of this page already, from another source."
CLOSED = Translatable("The book is closed for new comments.")


class Effect(NamedTuple):
    """What was done, in words, and the comment that it became or is about; or why nothing could be done."""

    note: str
    comment_id: str | None = None
    error: str | None = None


def carry_out(
    session: Session, event_id: str, source: Source, decision: InboundDecision, settings: Settings
) -> Effect:
    """Do the action of a decision, if it has one."""
    match decision.action:
        case WriteComment() as action:
            return write_comment(session, event_id, source, action, settings)
        case RemoveComment() as action:
            return _remove_comment(session, source, action.home, settings)
        case UpdateMention(draft=None) as action:
            return _remove_mention(session, action, settings)
        case UpdateMention(url, host, draft) if draft:
            return _write_mention(session, source, url, host, draft, settings)
        case ForwardEvent(data):
            number = event_publisher.publish(session.connection(), FORWARDED, data, settings)
            return Effect(f"Passed on to {counted(number, 'webhook')}.")
    home = decision.home
    return Effect(decision.note or "", _comment_at(session, home, settings) if home else None)


def write_comment(
    session: Session, event_id: str, source: Source, action: WriteComment, settings: Settings
) -> Effect:
    """Sign the book, unless this event or another one about the same comment has done so."""
    made = session.scalar(select(InboundEvent.comment_id).where(InboundEvent.id == event_id))
    if made:
        return Effect(f"{BECAME} before.", made)
    if known := _comment_at(session, action.home, settings) if action.home else None:
        return Effect("The book has this comment already.", known)
    wanted = preferences.read(session)
    if action.is_proven and wanted.moderation != "all":
        found = Classification("published", (PROVEN,))  # the owner trusts it: release notes are full of links
    else:
        select_rows = plain_sql.through(session)
        found = submission.classified(select_rows, action.draft, wanted, settings.secret_key)
    return _signed(session, source, action.draft, found, source.name, action.home, settings)


def _signed(
    session: Session,
    source: Source,
    draft: Draft,
    found: Classification,
    name: str,
    home: str | None,
    settings: Settings,
) -> Effect:
    told_at = clock.now() if source.relayed_since else None
    origin = Origin(name=name, url=home, told_at=told_at, source_id=source.id)
    row = comment_actions.sign(session, draft, found, settings=settings, origin=origin)
    return Effect(f"{BECAME}." if row.status == "published" else f"{BECAME}, {row.status}.", row.id)


def _comment_at(session: Session, home: str, settings: Settings) -> str | None:
    """Return the id of the comment with that address, whatever its status."""
    ours = f"{settings.base_url}/comments/"
    if home.startswith(ours):
        return session.scalar(select(Comment.id).where(Comment.id == home.removeprefix(ours)))
    return session.scalar(select(Origin.comment_id).where(Origin.url == home))


def _remove_comment(session: Session, source: Source, home: str, settings: Settings) -> Effect:
    """Move the comment with that home to the trash, if it came from this source and is in the book."""
    has_made = exists().where(
        InboundEvent.comment_id == Comment.id,
        InboundEvent.source_id == source.id,
        InboundEvent.note.startswith(BECAME),
    )
    # A web server of an earlier program may have stored it after the upgrade, and then without the id.
    is_mine = (Origin.source_id == source.id) | (Origin.source_id.is_(None) & has_made)
    mine = select(Comment).join(Origin).where(Origin.url == home, is_mine)
    row = session.scalars(mine.with_for_update(of=Comment)).first()
    if row is None or not row.is_known:
        return Effect("The book does not have this comment.", _comment_at(session, home, settings))
    comment_actions.move(session, row, "trash", settings, by=Actor("source", name=source.name))
    return Effect("The other book took it out, so it went into the trash.", row.id)


def _write_mention(
    session: Session, source: Source, url: str, host: str, draft: Draft, settings: Settings
) -> Effect:
    """Sign the book for a page, or take its present words, unless the owner has removed the comment.

    A page has one comment, however many pages of the book it links to. The origin of the comment has the
    address of the page and, as its name, the host.
    """
    kept = preferences.read(session)
    row = _comment_of(session, url)
    own_id = row.id if row is not None else None
    found = submission.classified(plain_sql.through(session), draft, kept, settings.secret_key, own_id)
    if row is None:
        if kept.closed:
            return Effect("", error=CLOSED)
        return _signed(session, source, draft, found, host[:80], url, settings)
    if not _is_of(session, row, host):
        return Effect(NOT_OURS, row.id)
    is_back = row.status == "trash" and row.reason == NO_LONGER
    if not row.is_known and not is_back:
        return Effect("You have removed its comment, so it stays removed.", row.id)
    if not is_back and comment_form.draft_of(row) == draft:
        return Effect("Its comment is up to date.", row.id)
    page = Actor("source", name=host)
    comment_actions.edit(session, row, draft, settings, by=page)
    if is_back or found.status != "published":  # a held one stays held: new words do not publish it
        row.reason, row.reasons = found.reason, found.text
        comment_actions.move(
            session, row, found.status, settings, by=page if is_back else comment_actions.RULES
        )
    return Effect("Its comment is brought up to date.", row.id)


def _remove_mention(session: Session, action: UpdateMention, settings: Settings) -> Effect:
    """Move the comment of the page to the trash, from where the owner can take it back."""
    row = _comment_of(session, action.url)
    if row is None:
        return Effect("", error=action.why)
    if not _is_of(session, row, action.host):
        return Effect(NOT_OURS, row.id)
    if not row.is_known:
        return Effect(f"{action.why} Its comment is not in the book.", row.id)
    comment_actions.move(session, row, "trash", settings, by=Actor("source", name=action.host))
    row.reason = row.reasons = NO_LONGER
    session.flush()
    return Effect(f"{action.why} So its comment went into the trash.", row.id)


def _comment_of(session: Session, url: str) -> Comment | None:
    mine = select(Comment).join(Origin).where(Origin.url == url)
    return session.scalars(mine.with_for_update(of=Comment)).first()


def _is_of(session: Session, row: Comment, host: str) -> bool:
    """Whether a mention brought it. The owner may have deleted the source of mentions since then."""
    if row.origin is None or row.origin.name != host[:80]:
        return False
    source = session.get(Source, row.origin.source_id) if row.origin.source_id else None
    return source is None or source.is_built_in

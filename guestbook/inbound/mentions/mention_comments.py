"""The comment of a page: written at its first mention, brought up to date, moved to the trash.

A page has one comment, however many pages of the book it links to. The comment's origin has the address of
the page and, as its name, the host.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.comments import book, moderation_policy
from guestbook.comments.moderation_policy import Classification
from guestbook.comments.spam import comment_facts
from guestbook.inbound.verify_and_decide import Effect, RemoveMention, WriteMention
from guestbook.lib import clock
from guestbook.lib.errors import Translatable
from guestbook.settings import Settings
from guestbook.storage import plain_sql, preferences
from guestbook.storage.audit_log import Actor
from guestbook.storage.models import Comment, Origin, Source

NO_LONGER = "Its page was deleted, or no longer links here."  # so that a later mention may bring it back
NOT_OURS = "The book has the comment of this page already, from another source."
CLOSED = Translatable("The book is closed for new comments.")


def write(session: Session, source: Source, action: WriteMention, settings: Settings) -> Effect:
    """Sign the book for the page, or bring its comment up to date."""
    kept = preferences.read(session)
    row = _comment_of(session, action.url)
    own_id = row.id if row is not None else None
    facts = comment_facts.gather(
        plain_sql.through(session), action.draft, kept, settings.secret_key, own_id=own_id
    )
    found = moderation_policy.classify(facts, kept.moderation)
    if row is not None:
        return _update(session, row, action, found, settings)
    if kept.closed:
        return Effect("", error=CLOSED)
    told_at = clock.now() if source.relayed_since else None
    origin = Origin(name=action.host[:80], url=action.url, told_at=told_at, source_id=source.id)
    row = book.sign(session, action.draft, found, form_key=None, settings=settings, origin=origin)
    return Effect.of_new(row)


def remove(session: Session, action: RemoveMention, settings: Settings) -> Effect:
    """Move the comment of the page to the trash, from where the owner can take it back."""
    row = _comment_of(session, action.url)
    if row is None:
        return Effect("", error=action.why)
    if not _is_of(session, row, action.host):
        return Effect(NOT_OURS, row.id)
    if not row.is_known:
        return Effect(f"{action.why} Its comment is not in the book.", row.id)
    book.move(session, row, "trash", settings, by=Actor("source", name=action.host))
    row.reason = row.reasons = NO_LONGER
    session.flush()
    return Effect(f"{action.why} So its comment went into the trash.", row.id)


def _update(
    session: Session, row: Comment, action: WriteMention, found: Classification, settings: Settings
) -> Effect:
    """Take the page's present words, unless the owner has removed the comment."""
    if not _is_of(session, row, action.host):
        return Effect(NOT_OURS, row.id)
    is_back = row.status == "trash" and row.reason == NO_LONGER
    if not row.is_known and not is_back:
        return Effect("You have removed its comment, so it stays removed.", row.id)
    if not is_back and book.typed(row) == action.draft.values:
        return Effect("Its comment is up to date.", row.id)
    page = Actor("source", name=action.host)
    book.edit(session, row, action.draft, settings, by=page)
    if is_back or found.status != "published":  # a held one stays held: new words do not publish it
        row.reason, row.reasons = found.reason, found.text
        book.move(session, row, found.status, settings, by=page if is_back else book.RULES)
    return Effect("Its comment is brought up to date.", row.id)


def _comment_of(session: Session, url: str) -> Comment | None:
    mine = select(Comment).join(Origin).where(Origin.url == url)
    return session.scalars(mine.with_for_update(of=Comment)).first()


def _is_of(session: Session, row: Comment, host: str) -> bool:
    """Whether a mention brought it. The owner may have deleted the source of mentions since then."""
    if row.origin is None or row.origin.name != host[:80]:
        return False
    source = session.get(Source, row.origin.source_id) if row.origin.source_id else None
    return source is None or source.is_built_in

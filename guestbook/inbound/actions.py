"""Do what was judged, in the caller's transaction: write a comment, take one away, pass an event on."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.orm import Session

from guestbook.comments import book, spam
from guestbook.inbound.evaluate import Comment, Forward, Judgement, Removal
from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.outbound import outbox
from guestbook.settings import Settings
from guestbook.storage import preferences
from guestbook.storage.models import Comment as CommentRow
from guestbook.storage.models import InboundEvent, Origin, Source, Webhook

EVENT = "inbound.received"


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, in words, and the comment that it became or is about."""

    note: str
    comment_id: str | None = None


def repeat_of(session: Session, event_id: str, source_id: str, external_id: str | None) -> Row[Any] | None:
    """Return id, status, comment and time of erasure of the event that has brought the same before."""
    if external_id is None:
        return None
    columns = InboundEvent.id, InboundEvent.status, InboundEvent.comment_id, InboundEvent.erased_at
    same: Any = select(*columns).where(
        InboundEvent.source_id == source_id,
        InboundEvent.external_id == external_id,
        InboundEvent.id != event_id,
    )
    return session.execute(same).first()


def take_number(session: Session, failed_id: str) -> None:
    """Let the number of an event that failed go over to the one at hand, which tries again."""
    session.execute(update(InboundEvent).where(InboundEvent.id == failed_id).values(external_id=None))


def note_comment(session: Session, event_id: str, comment_id: str | None) -> None:
    """Note which comment an event would have become, so that erasure finds its words there too."""
    session.execute(update(InboundEvent).where(InboundEvent.id == event_id).values(comment_id=comment_id))


def carry_out(
    session: Session, event_id: str, source: Source, judgement: Judgement, settings: Settings
) -> Done:
    """Do the deed of a judgement, or nothing where it has none."""
    deed = judgement.deed
    if isinstance(deed, Comment):
        return _write(session, event_id, source, deed, settings)
    if isinstance(deed, Removal):
        return _remove(session, source, deed, settings)
    if isinstance(deed, Forward):
        return _pass_on(session, deed, settings)
    home = judgement.about
    return Done(judgement.note or "", _known(session, home, settings) if home else None)


def _write(session: Session, event_id: str, source: Source, deed: Comment, settings: Settings) -> Done:
    """Sign the book, unless this event, or another one about the same comment, has done so."""
    made = session.scalar(select(InboundEvent.comment_id).where(InboundEvent.id == event_id))
    if made:
        return Done("It became a comment before.", made)
    home = deed.told.home if deed.told else None
    if known := _known(session, home, settings) if home else None:
        return Done("The book has this comment already.", known)
    told_at = clock.now() if source.relayed_since else None
    origin = Origin(name=source.name, url=home, told_at=told_at)
    verdict = spam.verdict(deed.draft, trap="", age=None, moderation=_moderation(session, deed))
    row = book.sign(session, deed.draft, verdict, form_key=None, settings=settings, origin=origin)
    return Done(_became(row), row.id)


def _known(session: Session, home: str, settings: Settings) -> str | None:
    """Return the id of the comment with that address, wherever it is: an event about it holds its words."""
    ours = f"{settings.base_url}/comments/"
    if home.startswith(ours):
        return session.scalar(select(CommentRow.id).where(CommentRow.id == home.removeprefix(ours)))
    return session.scalar(select(Origin.comment_id).where(Origin.url == home))


def _moderation(session: Session, deed: Comment) -> str:
    """Return who waits for the owner: what is proven to come from a source is not suspicious."""
    wanted = preferences.read(session).moderation
    return "off" if deed.is_proven and wanted == "suspicious" else wanted


def _became(row: CommentRow) -> str:
    return "It became a comment." if row.status == "published" else f"It became a comment, {row.status}."


def _remove(session: Session, source: Source, deed: Removal, settings: Settings) -> Done:
    """Throw away the comment with that home, if it came by this source and stands in the book."""
    mine = select(CommentRow).join(Origin).where(Origin.url == deed.home, Origin.name == source.name)
    row = session.scalars(mine.with_for_update(of=CommentRow)).first()
    if row is None or not row.is_known:
        return Done("The book does not have this comment.", _known(session, deed.home, settings))
    book.move(session, row, "trash", settings)
    return Done("The other book took it out, so it went into the trash.", row.id)


def _pass_on(session: Session, deed: Forward, settings: Settings) -> Done:
    outbox.publish(session.connection(), EVENT, deed.data, settings)
    wanting = select(func.count()).select_from(Webhook).where(Webhook.events.contains(EVENT))
    count = session.scalar(wanting) or 0
    return Done(f"Passed on to {counted(count, 'webhook')}.")

"""The book: sign it, read it, moderate, answer. A comment and its events share one transaction."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import Verdict
from guestbook.lib import clock, retry_policy, unit_of_work, validate
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_text
from guestbook.outbound import outbox
from guestbook.queue import erasure
from guestbook.settings import Settings
from guestbook.storage.models import Comment, Origin, Reply

REPLY_LIMIT = 4000  # characters
# Bytes of a comment and its reply as JSON. With what stands around them the payload of a webhook stays under
# 20 kB, which 4,000 emoji fill alone; so the longest comments leave less room for the reply than that.
REPLIED_LIMIT = 19_000
# With all that a page shows of them, in one query.
PUBLISHED = (
    select(Comment)
    .where(Comment.status == "published")
    .options(joinedload(Comment.reply), joinedload(Comment.origin))
)
NEWEST = PUBLISHED.order_by(Comment.id.desc())


@dataclass(frozen=True, slots=True)
class Page:
    """Some comments, newest first, and the id before which older ones begin (None at the end)."""

    comments: list[Comment]
    older: str | None


def page(session: Session, before: str | None = None, limit: int = 20) -> Page:
    """Return the published comments before that id, by keyset: as fast at the end as at the start."""
    query = NEWEST if before is None else NEWEST.where(Comment.id < before)
    rows = list(session.scalars(query.limit(limit + 1)))
    return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def find(session: Session, comment_id: str) -> Comment | None:
    """Return the published comment with that id."""
    return session.scalars(PUBLISHED.where(Comment.id == comment_id)).one_or_none()


def signed_with(session: Session, form_key: str) -> Comment | None:
    """Return the comment that this very form has made before, whatever its status."""
    return session.scalars(select(Comment).where(Comment.form_key == form_key)).one_or_none()


def sign(
    session: Session,
    draft: Draft,
    verdict: Verdict,
    *,
    form_key: str | None,
    settings: Settings,
    origin: Origin | None = None,
) -> Comment:
    """Add a comment and the deliveries of its events; the caller's transaction commits both or neither.

    One that a webhook brought has an `origin`, which says whether our own webhooks are to hear of it.
    """
    comment = Comment(
        id=unit_of_work.new_id(),
        created_at=unit_of_work.now(),
        name=draft.name,
        website=draft.website,
        message=draft.message,
        status=verdict.status,
        reason=verdict.reason,
        form_key=form_key,
        origin=origin,
    )
    session.add(comment)
    comment.announced_at = clock.now() if comment.is_known and comment.is_told else None
    session.flush()
    if comment.is_known:
        _tell(session, "comment.created", comment, settings)
    if comment.status == "published":
        _tell(session, "comment.published", comment, settings)
    return comment


def lock(session: Session, comment_ids: Sequence[str]) -> list[Comment]:
    """Return those of the comments that are there, kept from others until the caller's transaction ends.

    So the second of two clicks finds what the first one did, and tells nobody again.
    """
    query = select(Comment).where(Comment.id.in_(comment_ids)).order_by(Comment.id).with_for_update()
    return list(session.scalars(query.execution_options(populate_existing=True)))


def move(session: Session, comment: Comment, status: str, settings: Settings) -> None:
    """Publish a comment, hold it, throw it away or mark it as spam; receivers are told what changes for them.

    `comment.created` when it comes from the spam, or nobody was told of it, to those that have not had it;
    `comment.published` when it becomes visible, `comment.deleted` when it leaves for the trash or the spam.
    """
    was, was_known = comment.status, comment.is_known
    comment.status = status
    session.flush()
    is_news = was == "spam" or comment.last_announced_at is None
    if comment.is_known and not was_known and is_news:
        _announce(session, comment, settings)
    if status == "published" != was:
        _tell(session, "comment.published", comment, settings)
    if was_known and not comment.is_known:
        _tell(session, "comment.deleted", comment, settings)


def restore(session: Session, comment: Comment, settings: Settings) -> None:
    """Bring a comment back from the trash or the spam, to where it was; another one stays where it is."""
    if not comment.is_known:
        move(session, comment, comment.home, settings)


def edit(session: Session, comment: Comment, draft: Draft) -> None:
    """Correct name, website and message; raises Refused with a sentence for each wrong field.

    A correction makes no event: receivers hear of what becomes of a comment, not of its commas.
    """
    if draft.errors:
        raise Refused.of(draft.errors)
    comment.name, comment.website, comment.message = draft.name, draft.website, draft.message
    session.flush()


def reply(session: Session, comment: Comment, message: str, settings: Settings) -> None:
    """Answer a comment, change the answer or, with an empty one, take it away; raises Refused.

    `comment.replied` tells of a new answer and of a changed one, if receivers know the comment.
    """
    message = clean_text(message)
    if message == (comment.reply.message if comment.reply else ""):
        return
    if not message:
        comment.reply = None
    else:
        answer = Reply(comment_id=comment.id, message=message, created_at=unit_of_work.now())
        _check_reply(comment, answer, settings)
        comment.reply = session.merge(answer)
    session.flush()
    if comment.is_known and comment.reply:
        _tell(session, "comment.replied", comment, settings, reply=comment.reply.public())


def delete(session: Session, comment: Comment, settings: Settings) -> None:
    """Remove a comment for good, with its words wherever they are; receivers hear of its end once.

    `comment.deleted` goes out now if the comment stood in the book, or to those that it has not reached. It
    holds no words either, and leaves when no earlier request about the comment can be under way any more.
    """
    connection, lease = session.connection(), retry_policy.lease(settings.timeout)
    left = erasure.erase(connection, comment.id, clock.now(), lease)
    only = None if comment.is_known else left.unaware
    if comment.is_told and only != set():
        data = {"comment": comment.without_words(settings.base_url)}
        outbox.publish(connection, "comment.deleted", data, settings, only=only, not_before=left.under_way)
    session.delete(comment)
    session.flush()


def _check_reply(comment: Comment, answer: Reply, settings: Settings) -> None:
    if sentence := validate.too_long("Your answer", answer.message, REPLY_LIMIT):
        raise Refused(sentence, field="reply")
    told = json.dumps([comment.public(settings.base_url), answer.public()], ensure_ascii=False)
    excess = len(told.encode()) - REPLIED_LIMIT
    if excess > 0:
        sentence = (
            f"The comment is very long. For a webhook with both, take about {excess:,} letters out of this."
        )
        raise Refused(sentence, field="reply")


def _announce(session: Session, comment: Comment, settings: Settings) -> None:
    """Tell that a comment is new, but nobody twice."""
    if comment.is_told:
        last_at = comment.last_announced_at
        already = outbox.webhooks_notified(
            session.connection(), "comment.created", comment.id, last_at, settings
        )
        _tell(session, "comment.created", comment, settings, leave_out=already)
        comment.announced_at = clock.now()


def _tell(
    session: Session,
    event: str,
    comment: Comment,
    settings: Settings,
    *,
    leave_out: Collection[str] = (),
    **more: Any,
) -> None:
    if comment.is_told:
        data = {"comment": comment.public(settings.base_url), **more}
        connection = session.connection()
        outbox.publish(connection, event, data, settings, comment_id=comment.id, leave_out=leave_out)

"""Number, sign, moderate, edit and answer a comment. A comment and its deliveries share one transaction.

At the end stands what the owner may do: on the pages, by the API, and on the page of a moderation link.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session, make_transient_to_detached

from guestbook.comments import comment_form, events_and_reminders, reply_mails
from guestbook.comments.comment_form import Draft
from guestbook.comments.events_and_reminders import SignedLink
from guestbook.comments.spam import learned_words, text_marks
from guestbook.comments.spam.spam_rules import SEVERITY, Classification
from guestbook.lib import clock, ids, retry_policy, validate
from guestbook.lib.errors import Refused, Translatable
from guestbook.lib.text import clean_text
from guestbook.outbound import event_publisher
from guestbook.queue import deleted_comments
from guestbook.settings import Settings
from guestbook.storage import audit_log, plain_sql, preferences, row_changes
from guestbook.storage.audit_log import Actor
from guestbook.storage.models import BookState, Comment, Hold, Origin, Reply

COLUMNS = Comment.__table__.columns.keys()
NEW_COMMENT = plain_sql.insertion("comments", COLUMNS)
LAST_NUMBER = "last_number"
LOCKED_LAST = (
    "SELECT value, (SELECT max(number) FROM comments) FROM book_state"
    f" WHERE name = '{LAST_NUMBER}'{plain_sql.FOR_UPDATE}"
)
# A web server of a program before 0031 counts among the settings until it is restarted.
SET_LAST = [
    f"UPDATE {table} SET value = :number WHERE name = '{LAST_NUMBER}'" for table in ("book_state", "settings")
]
HIGHEST_IMPORTED = 1_000_000_000  # The book must be able to go on counting behind it.


def give_number(connection: Connection, comments: Sequence[Comment]) -> None:
    """Number those that stand in the book or wait to, in this order, unless they have a number.

    Spam gets one when the owner takes it out: it must not count among the visitors.
    """
    fresh = [comment for comment in comments if comment.is_known and comment.number is None]
    if fresh:
        last = _locked_last(connection)
        for number, comment in enumerate(fresh, last + 1):
            comment.number = number
        _set_last(connection, last + len(fresh))


def keep_number(session: Session, comments: Sequence[Comment]) -> None:
    """Let the comments of a file keep their numbers, but for those that the book has given to others."""
    given = [comment.number for comment in comments if comment.number is not None]
    if not given:
        return
    connection = session.connection()
    last = _locked_last(connection)
    taken = set(session.scalars(select(Comment.number).where(Comment.number.in_(given))))
    for comment in comments:
        if comment.number in taken:
            comment.number = None
        taken.add(comment.number)
    _set_last(connection, max(last, *given))


def _locked_last(connection: Connection) -> int:
    """Return the last number that was given; others wait for this transaction."""
    found = plain_sql.run(connection, LOCKED_LAST)
    if not found:
        row_changes.insert_missing(connection, BookState, name=LAST_NUMBER, value="0")
        found = plain_sql.run(connection, LOCKED_LAST)
    stored, highest = found[0] if found else (0, 0)
    return max(int(stored or 0), highest or 0)


def _set_last(connection: Connection, number: int) -> None:
    for statement in SET_LAST:
        plain_sql.run(connection, statement, number=str(number))


REPLY_LIMIT = 4000  # characters
# Bytes of a comment and its reply as JSON, so that the payload of a webhook stays under 20 kB. A comment of
# 4,000 emoji almost fills it alone, so the longest comments leave little room for a reply.
REPLIED_LIMIT = 19_300


def reply_excess(comment: Comment, answer: Reply, settings: Settings) -> int:
    """Return how many bytes the two have more than a payload may hold; not above 0 when they fit."""
    both = json.dumps([comment.for_owner(settings.base_url), answer.public()], ensure_ascii=False)
    return len(both.encode()) - REPLIED_LIMIT


RULES = Actor("rules")  # the spam rules
LEARNED_KINDS = {"published": "good", "spam": "spam"}  # status → kind
ANSWERED = Translatable(
    "The owner has answered this comment, so its words stay as they are. You may still delete it."
)


def sign(
    session: Session,
    draft: Draft,
    verdict: Classification,
    *,
    form_key: str | None = None,
    settings: Settings,
    origin: Origin | None = None,
    page: str | None = None,
) -> Comment:
    """Add a comment and the deliveries of its events; the caller's transaction commits both or neither.

    One from a source has an `origin`, which says whether our own webhooks get its events.
    """
    comment = _new(draft, verdict, form_key, origin)
    comment.page = page
    comment.announced_at = clock.now() if comment.is_known and comment.goes_to_webhooks else None
    connection = session.connection()
    give_number(connection, [comment])
    _insert(session, comment)
    if comment.announced_at:
        events_and_reminders.tell_first(session, comment, settings)
    text_marks.remember_new_text(connection, comment)
    note_public_change(session, settings, comment.id, is_seen=comment.status == "published")
    return comment


def note_public_change(session: Session, settings: Settings, changed: str, *, is_seen: bool = True) -> None:
    """Note which comment has changed for readers, or that ALL_CHANGED, where they have files."""
    if settings.public_folder and is_seen:
        name = plain_sql.CHANGE + ids.new()  # Another name each time, so that nobody waits for a lock.
        plain_sql.run(session.connection(), plain_sql.NEW_CHANGE, name=name, value=changed)


def _new(draft: Draft, verdict: Classification, form_key: str | None, origin: Origin | None) -> Comment:
    comment = Comment(
        id=ids.new(),
        created_at=clock.now(),
        **draft.values,
        reason=verdict.reason,
        reasons=verdict.text,
        form_key=form_key,
        last_sequence=0,
        reply=None,
        origin=origin,
    )
    comment.set_status(verdict.status, comment.created_at)
    if comment.status != "published":
        _note(comment, comment.status, RULES)
    return comment


def _note(comment: Comment, action: str, by: Actor | None) -> None:
    """Write down on the comment who did it: the one who acts in this request or command, if not another."""
    actor = by or audit_log.acting()
    comment.note_decision(action, actor.kind, actor.name, clock.now())


def announce(session: Session, comment: Comment, settings: Settings, answer: Reply | None = None) -> None:
    """Publish the events of a comment that this transaction has stored, and of the answer it comes with."""
    if comment.is_known and comment.goes_to_webhooks:
        comment.announced_at = clock.now()
        session.flush()
        events_and_reminders.tell_first(session, comment, settings, answer)


def _insert(session: Session, comment: Comment) -> None:
    """Store a new comment by one statement: a flush of the session takes three times as long."""
    values = plain_sql.stored({name: getattr(comment, name) for name in COLUMNS})
    plain_sql.run(session.connection(), NEW_COMMENT, **values)
    if comment.origin:
        comment.origin.comment_id = comment.id
    make_transient_to_detached(comment)
    session.add(comment)
    if comment.status == "held":
        events_and_reminders.begin_hold(session, comment)


def lock(session: Session, comment_ids: Sequence[str]) -> list[Comment]:
    """Return the existing ones of these comments, locked until the caller's transaction ends.

    So the second of two clicks sees the first one's change, and makes no second event.
    """
    query = select(Comment).where(Comment.id.in_(comment_ids)).order_by(Comment.id).with_for_update()
    return list(session.scalars(query.execution_options(populate_existing=True)))


def move(
    session: Session, comment: Comment, status: str, settings: Settings, *, by: Actor | None = None
) -> None:
    """Publish a comment, hold it, trash it or mark it as spam, and publish the events.

    `comment.created` if it leaves the spam or was never announced, for webhooks that have not had it;
    `comment.published` if it becomes visible; `comment.deleted` if it goes to the trash or the spam.
    """
    was, was_known = comment.status, comment.is_known
    comment.set_status(status, clock.now())
    give_number(session.connection(), [comment])
    if status != was:
        learned_words.unlearn(session, settings.secret_key, comment)
        _note(comment, status, by)
    session.flush()
    note_public_change(session, settings, comment.id, is_seen="published" in (was, status))
    if was == "held" != status:
        events_and_reminders.end_hold(session, comment)
    elif status == "held" != was:
        events_and_reminders.begin_hold(session, comment)
    is_news = was == "spam" or comment.last_announced_at is None
    is_back = comment.is_known and not was_known and comment.goes_to_webhooks
    if is_back:
        events_and_reminders.announce_restored(session, comment, settings, is_news=is_news)
    if status == "published" != was:
        events_and_reminders.tell(session, "comment.published", comment, settings)
        reply_mails.mail_next(session, comment, settings)
    if is_back and comment.reply:
        events_and_reminders.tell_missed(session, "comment.replied", comment, settings, reply=comment.reply)
    if was_known and not comment.is_known:
        events_and_reminders.tell(session, "comment.deleted", comment, settings)
        reply_mails.forget(session, comment.id)


def decide(session: Session, comment: Comment, status: str, settings: Settings) -> None:
    """Move a comment as its owner decides; the learned score learns from what is published or spam.

    Undoing the decision, or another one, takes that back.
    """
    move(session, comment, status, settings)
    if status in LEARNED_KINDS and preferences.read(session).score:
        learned_words.learn(session, settings.secret_key, comment, LEARNED_KINDS[status])


def restore(session: Session, comment: Comment, settings: Settings) -> None:
    """Move a comment from the trash or the spam back to where it was; others stay."""
    if not comment.is_known:
        move(session, comment, comment.home, settings)


def edit(
    session: Session, comment: Comment, draft: Draft, settings: Settings, *, by: Actor | None = None
) -> None:
    """Correct the fields of a comment; raises Refused with a sentence for each wrong field.

    A correction makes no event: events are about a comment's status, not its commas. But a website that
    takes webmentions reads the comment once more, and so does the old one if there is a new one.
    """
    if draft.errors:
        raise Refused.of(draft.errors)
    before = comment.public(settings.base_url)
    is_changed = draft != comment_form.draft_of(comment)
    if is_changed:
        comment.edited_at = clock.now()
        _note(comment, "edited", by)
    learned_as = comment.learned_as
    learned_words.unlearn(session, settings.secret_key, comment)
    for name, value in draft.values.items():
        setattr(comment, name, value)
    session.flush()
    note_public_change(session, settings, comment.id, is_seen=comment.status == "published")
    text_marks.remember_text(session, comment)
    if learned_as:
        learned_words.learn(session, settings.secret_key, comment, learned_as)
    if is_changed and comment.status == "published" and comment.goes_to_webhooks:
        events_and_reminders.tell_websites(session, comment, before, settings)


def revise(
    session: Session, comment: Comment, draft: Draft, verdict: Classification, settings: Settings
) -> None:
    """Let its visitor change a comment; raises Refused if the owner has answered it.

    The stricter of its status and the verdict counts, so no edit brings a comment into the book. That move
    makes its events; the new words make none, as with the owner's correction.
    """
    if comment.reply:
        raise Refused(ANSWERED)
    edit(session, comment, draft, settings)
    if SEVERITY.index(verdict.status) > SEVERITY.index(comment.status):
        comment.reason, comment.reasons = verdict.reason, verdict.text
        move(session, comment, verdict.status, settings, by=RULES)


def reply(session: Session, comment: Comment, message: str, settings: Settings) -> None:
    """Answer a comment, change the answer, or remove it with an empty one; raises Refused.

    A new or changed answer makes `comment.replied`, if receivers know the comment.
    """
    message = clean_text(message)
    if message == (comment.reply.message if comment.reply else ""):
        return
    if message:
        answer = Reply(comment_id=comment.id, message=message, created_at=clock.now())
        if sentence := validate.too_long("Your answer", message, REPLY_LIMIT):
            raise Refused(sentence, field="reply")
        if (excess := reply_excess(comment, answer, settings)) > 0:
            said = f"very long, and webhooks get both. Please remove about {excess:,} letters here."
            raise Refused(f"The comment is {said}", field="reply", only_here=True)
        comment.reply = session.merge(answer)
    else:
        comment.reply = None
    _note(comment, "replied" if message else "reply_removed", None)
    session.flush()
    note_public_change(session, settings, comment.id, is_seen=comment.status == "published")
    reply_mails.take_back(session, comment.id)
    if comment.is_known and comment.reply:
        events_and_reminders.tell(session, "comment.replied", comment, settings, reply=comment.reply)
        reply_mails.mail_next(session, comment, settings)


def delete(session: Session, comment: Comment, settings: Settings) -> None:
    """Remove a comment for good, with its words in all tables; `comment.deleted` reaches each webhook once.

    Webhooks get it now if the comment was in the book, or if it has not reached them before. It holds no
    words either, and waits until no earlier request about the comment can be under way.
    """
    learned_words.unlearn(session, settings.secret_key, comment)
    connection, lease = session.connection(), retry_policy.lease(settings.timeout)
    left = deleted_comments.erase(connection, comment.id, clock.now(), lease)
    only = None if comment.is_known else left.unaware
    if comment.goes_to_webhooks and only != set():
        data = {"comment": comment.without_words(settings.base_url)}
        event_publisher.publish(
            connection,
            "comment.deleted",
            data,
            settings,
            comment_id=comment.id,
            only=only,
            not_before=left.under_way,
        )
    audit_log.record(session, "deleted", "comment", comment.id)  # The visitor's name must not stay.
    note_public_change(session, settings, comment.id, is_seen=comment.status == "published")
    session.delete(comment)
    session.flush()


STATUS_AFTER = {"publish": "published", "hold": "held", "spam": "spam", "trash": "trash"}
MODERATION_ACTIONS = (*STATUS_AFTER, "restore", "delete")
BULK_LIMIT = 200  # comments in one request
STATUS_AFTER_LINK = {"publish": "published", "reply": "published", "spam": "spam", "trash": "trash"}


def act(session: Session, comment: Comment, action: str, settings: Settings) -> None:
    """Do one of MODERATION_ACTIONS to a comment, which the caller has locked."""
    if action == "delete":
        delete(session, comment, settings)
    elif action == "restore":
        restore(session, comment, settings)
    else:
        decide(session, comment, STATUS_AFTER[action], settings)


@dataclass(frozen=True, slots=True)
class LinkedComment:
    """The comment that a link is about, and why the link does nothing any more, if so.

    `gone` is `expired`, `deleted`, `decided` or `older`; the last one is of an earlier hold.
    """

    comment: Comment | None
    hold: Hold | None
    gone: str | None


def find_linked(session: Session, link: SignedLink, now: datetime, *, to_lock: bool = False) -> LinkedComment:
    """Return what the link leads to. If it is locked, the second of two clicks finds the link used."""
    key, gone = link.comment_id, None
    comment = next(iter(lock(session, [key])), None) if to_lock else session.get(Comment, key)
    hold = session.get(Hold, key, populate_existing=to_lock)
    if link.expires_at <= now:
        gone = "expired"
    elif comment is None:
        gone = "deleted"
    elif hold is None or hold.held_at != link.held_at:
        gone = "older"
    elif hold.decided_at is not None or comment.status != "held":
        gone = "decided"
    return LinkedComment(comment, hold, gone)


def decide_by_link(session: Session, comment: Comment, action: str, answer: str, settings: Settings) -> None:
    """Publish the comment, also with a reply, or mark it as spam or trash it; raises Refused.

    A reply that was typed is kept whichever of the two buttons publishes the comment.
    """
    answer = clean_text(answer)
    if action == "reply" and not answer:
        raise Refused("Write your reply first, or publish the comment without one.", field="reply")
    publishes = STATUS_AFTER_LINK[action] == "published"
    done = "reply" if publishes and answer else action
    decide(session, comment, STATUS_AFTER_LINK[action], settings)
    session.get_one(Hold, comment.id).action = done
    if publishes and answer:
        reply(session, comment, answer, settings)

"""Send a webhook the past events that it has not had, made from the comments that the book has now.

    look, by primary key ──▶ some comments with missing events ──▶ transaction: lock, look again, store
       ▲                                                                           │
       └───────────────────── go on after the last comment ◀───────────────────────┘

The events have the comment's present words, so nothing that was deleted or corrected goes out, and nothing is
left out because old deliveries were pruned. An event that another webhook's delivery still has keeps its id.
Each takes the comment's next sequence.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from guestbook.comments import announcements, book, past_events
from guestbook.comments.past_events import BACKFILLED_EVENTS, BackfillReport, BackfillRules, MissingEvent
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.storage import audit_log, database, transaction_retry
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Webhook

LOOKED_AT_ONCE = 100_000  # comments with events since then that one request looks at: it must end soon
COMPARED_TOGETHER = 500  # comments whose deliveries are looked up at once
STORED_TOGETHER = 50  # comments of one transaction: a visitor waits for no more than that


class BackfillRange(NamedTuple):
    """Where a forecast or a run begins, and after about how much it ends."""

    after: str = ""  # the id of a comment; what comes before the next one is left out
    deliveries: int | None = None
    comments: int | None = None  # with events since then

    def is_over(self, deliveries: int, comments: int) -> bool:
        """Whether so much is enough."""
        enough = self.deliveries is not None and deliveries >= self.deliveries
        return enough or (self.comments is not None and comments >= self.comments)


ALL = BackfillRange()


class _Look(NamedTuple):
    """What a look at the next comments of the book has found."""

    missing: list[list[MissingEvent]]  # of each comment that has events since then
    last: str  # the last comment that it read
    comments: int  # how many it read


def comments_in_book() -> int:
    """Return how many comments all looks of a backfill read."""
    count = db.session.scalar(select(func.count()).select_from(Comment)) or 0
    database.end(db.session())
    return count


def forecast(webhook_id: str, rules: BackfillRules, which: BackfillRange = ALL) -> BackfillReport:
    """Count what `run` would send.

    No transaction is open between two looks and at the end. Raises Refused as `run` does.
    """
    report = BackfillReport()
    for look in _looks(webhook_id, rules, which.after, report):
        for missing in look.missing:
            report.add(missing)
        if which.is_over(report.deliveries, report.seen):
            report.next_after = look.last
            break
    return report


def run(webhook_id: str, rules: BackfillRules, which: BackfillRange = ALL) -> BackfillReport:
    """Store the deliveries, some comments in a transaction. It may be killed at any time and run again.

    Raises Refused if the webhook is deleted meanwhile, or wants none of these events.
    """
    report, looked = BackfillReport(), BackfillReport()
    for look in _looks(webhook_id, rules, which.after, looked):
        comment_ids = [missing[0].comment_id for missing in look.missing if missing]
        for start in range(0, len(comment_ids), STORED_TOGETHER):
            some = comment_ids[start : start + STORED_TOGETHER]
            is_first = not report.deliveries
            report.add(
                transaction_retry.complete(partial(_store, webhook_id, rules, some, is_first=is_first))
            )
            if which.is_over(report.deliveries, 0):
                report.next_after = some[-1]
                return report
        rules.after_look(look.comments)
        if which.is_over(report.deliveries, looked.seen):
            report.next_after = look.last
            return report
    return report


def _looks(webhook_id: str, rules: BackfillRules, after: str, report: BackfillReport) -> Iterator[_Look]:
    """Look through the book in the order of ids, so that each look is a range of the primary key."""
    session = db.session()
    while True:
        database.end(session)  # a reader would keep SQLite's rollback journal from being written
        webhook = _webhook(session, webhook_id)
        last, number = past_events.next_comments(session, after)
        if last is None:
            database.end(session)
            return
        which = Comment.id > after, Comment.id <= last
        comments = past_events.with_events(session, rules.since, *which)
        for start in range(0, len(comments) or 1, COMPARED_TOGETHER):
            end = start + COMPARED_TOGETHER
            some, is_end = comments[start:end], end >= len(comments)
            missing = list(past_events.missing(session, webhook, some, rules, report))
            database.end(session)
            yield _Look(missing, *((last, number) if is_end else (some[-1].id, 0)))
        after = last


def _store(
    webhook_id: str, rules: BackfillRules, comment_ids: Sequence[str], *, is_first: bool
) -> list[MissingEvent]:
    """Store what the webhook has not had of these comments, and return it.

    Others may have changed the comments or have stored the same since the look, so it looks again when it has
    the comments' locks. Two backfills never store the same event.
    """
    with database.writing() as session:
        webhook = _webhook(session, webhook_id)
        comments = {comment.id: comment for comment in book.lock(session, comment_ids)}
        still = past_events.with_events(session, rules.since, Comment.id.in_(comments))
        each = past_events.missing(session, webhook, still, rules, BackfillReport(), with_ids=True)
        missing = [one for found in each for one in found]
        for one in missing:
            comment = comments[one.comment_id]
            more = (
                {"reply": comment.reply.public()} if one.event == "comment.replied" and comment.reply else {}
            )
            announcements.tell(
                session, one.event, comment, rules.settings, only={webhook_id}, past=one.past, **more
            )
        if missing and is_first:  # one entry, however many transactions follow
            since = f"since {clock.to_text(rules.since)}"
            audit_log.record(session, "backfilled", "webhook", webhook.id, webhook.name, detail=since)
    return missing


def _webhook(session: Session, webhook_id: str) -> Any:
    """Return the parts of a webhook that count here; raises Refused."""
    columns = Webhook.id, Webhook.name, Webhook.format, Webhook.events, Webhook.created_at
    webhook = session.execute(select(*columns).where(Webhook.id == webhook_id)).one_or_none()
    if webhook is None:
        raise Refused("The webhook was deleted meanwhile.")
    if not past_events.wanted(webhook):
        known = ", ".join(BACKFILLED_EVENTS)
        raise Refused(f"This webhook gets {webhook.events.replace(' ', ', ')}. Past events are {known}.")
    return webhook

"""Store the comments of a file in short transactions. It may be killed at any time and run again.

Each comment has the same id in each run, and one whose id is in the book stays as it is.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from guestbook.comments import book, comment_numbers, holds, reply_size
from guestbook.comments.exchange import checked_comment
from guestbook.comments.exchange.checked_comment import CheckedComment
from guestbook.comments.exchange.file_row import FileRow
from guestbook.comments.spam import repeated_texts
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.settings import Settings
from guestbook.storage import database, transaction_retry
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Origin, Reply

# Seconds of one transaction: a visitor who signs waits for it. The pause after it lets visitors go first.
TURN, PAUSE = 0.05, 0.01
MOST_TOGETHER = 500  # comments of one transaction


@dataclass(frozen=True, slots=True)
class ImportRules:
    """What to do with the comments, and what to call meanwhile."""

    settings: Settings
    is_rehearsal: bool = False
    with_events: bool = False
    say: Callable[[str], None] = print  # a sentence about a row that is refused or incomplete
    after_chunk: Callable[[], None] = lambda: None


@dataclass(slots=True)
class ImportReport:
    """What an import has done, or would do."""

    stored: Counter[str] = field(default_factory=Counter)  # by status
    there: int = 0  # already, or twice in the file
    refused: int = 0
    broken: str | None = None  # why the rest of the file cannot be read

    @property
    def rows(self) -> int:
        """Return how many rows have been read."""
        return self.stored.total() + self.there + self.refused


@dataclass(slots=True)
class Pace:
    """How many comments the next transaction stores: those with many deliveries take longer."""

    size: int = 1

    def follow(self, count: int, seconds: float) -> None:
        """Aim at the length of a turn, after a transaction that stored so many in this time."""
        self.size = max(1, min(MOST_TOGETHER, 2 * self.size, int(count * TURN / max(seconds, 0.001))))


def run(rows: Iterable[FileRow], rules: ImportRules) -> ImportReport:
    """Import the comments of a file; raises Refused if not one row can be read."""
    report, pace = ImportReport(), Pace()
    for chunk in _chunks(rows, pace, report):
        comments, began = list(_checked(chunk, rules, report)), time.monotonic()
        stored = _rehearse(comments) if rules.is_rehearsal else _store(comments, rules)
        pace.follow(len(chunk), time.monotonic() - began)
        if stored and not rules.is_rehearsal:
            time.sleep(PAUSE)
        report.stored += stored
        report.there += len(comments) - stored.total()
        rules.after_chunk()
    if report.broken and not report.rows:
        raise Refused(report.broken)
    return report


def _chunks(rows: Iterable[FileRow], pace: Pace, report: ImportReport) -> Iterator[list[FileRow]]:
    chunk: list[FileRow] = []
    try:
        for row in rows:
            chunk.append(row)
            if len(chunk) >= pace.size:
                yield chunk
                chunk = []
    except Refused as error:  # what came before it is good
        report.broken = str(error)
    if chunk:
        yield chunk


def _checked(chunk: Sequence[FileRow], rules: ImportRules, report: ImportReport) -> Iterator[CheckedComment]:
    for row in chunk:
        try:
            comment = checked_comment.check(row, clock.now())
            _check_reply(comment, rules.settings)
        except Refused as error:
            report.refused += 1
            rules.say(f"{row.where} was left out: {error}.")
        else:
            if comment.note:
                rules.say(f"{row.where} was {comment.note}.")
            yield comment


def _check_reply(comment: CheckedComment, settings: Settings) -> None:
    row = _row(comment)
    if row.reply and len(row.reply.message) > reply_size.REPLY_LIMIT:
        many = f"{len(row.reply.message):,} characters, and {reply_size.REPLY_LIMIT:,} are allowed"
        raise Refused(f"its reply has {many}")
    if row.reply and reply_size.excess(row, row.reply, settings) > 0:
        raise Refused("comment and reply are together too long for a webhook")


def _store(comments: Sequence[CheckedComment], rules: ImportRules) -> Counter[str]:
    """Store those that are not there, all or none; return how many by status."""
    try:
        return transaction_retry.complete(lambda: _store_once(comments, rules))
    except IntegrityError:  # another import was faster; now its comments are seen
        return transaction_retry.complete(lambda: _store_once(comments, rules))


def _store_once(comments: Sequence[CheckedComment], rules: ImportRules) -> Counter[str]:
    with database.writing() as session:
        rows = [_row(one) for one in _new(session, comments)]
        comment_numbers.keep(session, rows)
        comment_numbers.give(session.connection(), sorted(rows, key=lambda row: row.id))
        session.add_all(rows)
        session.flush()
        for row in rows:
            repeated_texts.remember_new(session.connection(), row)
            if row.status == "held":
                holds.begin(session, row)
        for row in rows if rules.with_events else ():
            book.announce(session, row, rules.settings, row.reply)
        counts = Counter(row.status for row in rows)
    session.expunge_all()  # a large file needs no more memory than a small one
    return counts


def _rehearse(comments: Sequence[CheckedComment]) -> Counter[str]:
    session = db.session()
    counts = Counter(one.status for one in _new(session, comments))
    database.end(session)
    return counts


def _new(session: Session, comments: Sequence[CheckedComment]) -> Iterator[CheckedComment]:
    """Yield those that the book does not have, also not as a comment of another book."""
    urls = [one.origin.url for one in comments if one.origin and one.origin.url]
    seen = set(session.scalars(select(Comment.id).where(Comment.id.in_([one.id for one in comments]))))
    seen_urls = set(session.scalars(select(Origin.url).where(Origin.url.in_(urls)))) if urls else set()
    for one in comments:
        url = one.origin.url if one.origin else None
        if one.id not in seen and (url is None or url not in seen_urls):
            seen.add(one.id)
            seen_urls.add(url)
            yield one


def _row(one: CheckedComment) -> Comment:
    reply, origin = one.reply, one.origin
    return Comment(
        id=one.id,
        **one.draft.values,
        status=one.status,
        spam_since=clock.now() if one.status == "spam" else None,
        reason=one.reason,
        reasons=one.reasons,
        created_at=one.created_at,
        announced_at=one.announced_at,
        edited_at=one.edited_at,
        number=one.number,
        last_sequence=one.last_sequence,
        reply=Reply(message=reply.message, created_at=reply.created_at) if reply else None,
        origin=Origin(**asdict(origin)) if origin else None,
    )

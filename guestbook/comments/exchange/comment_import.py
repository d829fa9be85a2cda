"""Check the comments of a file and store them in short transactions.

It may be killed at any time and run again. Each comment has the same id in each run, and one whose id is in
the book stays as it is.
"""

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.comments import comment_actions, comment_form, events_and_reminders
from guestbook.comments.comment_form import Draft
from guestbook.comments.exchange.file_formats import FileRow
from guestbook.comments.spam import text_marks
from guestbook.lib import clock, ids, validate
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line, clean_text
from guestbook.settings import Settings
from guestbook.storage import database, plain_sql, preferences
from guestbook.storage.comment_fields import COMMENT_FIELDS
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Origin, Reply
from guestbook.storage.models.comment import COMMENT_STATUSES, REASON_LIMIT

REASONS_LIMIT = 4000  # characters, of all reasons
AHEAD = timedelta(days=1)  # A clock elsewhere may be wrong.
PLAIN_NUMBER = re.compile("[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class CheckedComment:
    """A comment that can be stored as it is: the columns of its row, and those of its reply and origin."""

    draft: Draft
    columns: Mapping[str, Any]
    reply: Mapping[str, Any] | None  # the owner's answer
    origin: Mapping[str, Any] | None  # the source, if no visitor wrote it
    note: str | None  # a sentence about what was left out

    @property
    def id(self) -> str:
        """Return its id."""
        return str(self.columns["id"])

    @property
    def url(self) -> str | None:
        """Return its address in another book."""
        return self.origin["url"] if self.origin else None

    def row(self) -> Comment:
        """Return a new row, for each try another one."""
        return Comment(
            **self.draft.values,
            **self.columns,
            spam_since=clock.now() if self.columns["status"] == "spam" else None,
            reply=Reply(**self.reply) if self.reply else None,
            origin=Origin(**self.origin) if self.origin else None,
        )


def check_row(row: FileRow, now: datetime, website: str = "") -> CheckedComment:
    """Return the comment; raises Refused with the reason, such as `it has no message`.

    `website` is the origin to which the path of a page is added.
    """
    if row.problem:
        raise Refused(row.problem)
    fields = row.fields
    draft, note = _draft(row)
    created_at = _moment(row, "created_at", now)
    if created_at is None:
        raise Refused("it has no created_at, the time when it was written")
    status = fields.get("status", "").strip() or "published"
    if status not in COMMENT_STATUSES:
        raise Refused(f"its status {status!r} is none of {', '.join(COMMENT_STATUSES)}")
    columns = {
        "id": _id(row, draft, created_at, now),
        "status": status,
        "reason": clean_line(fields.get("reason", ""))[:REASON_LIMIT] or None,
        "reasons": clean_text(fields.get("reasons", ""))[:REASONS_LIMIT] or None,
        "created_at": created_at,
        "announced_at": _moment(row, "announced_at", now),
        "edited_at": _moment(row, "edited_at", now),
        "number": _whole(row, "number", least=1),
        "last_sequence": _whole(row, "last_sequence", least=0) or 0,
        "page": _page(row, website),
    }
    reply = None
    if message := clean_text(fields.get("reply", "")):
        reply = {"message": message, "created_at": _moment(row, "reply_created_at", now) or created_at}
    return CheckedComment(draft, columns, reply, _origin(row, now), note)


def _draft(row: FileRow) -> tuple[Draft, str | None]:
    """Return what its visitor typed. A wrong website is no reason to lose a comment: it is left out."""
    draft = comment_form.read(row.fields)
    for name in (name for name, about in COMMENT_FIELDS.items() if about.missing):
        if not draft.values[name]:
            raise Refused(f"it has no {name}")
        _refuse_long(name, draft.values[name] or "", COMMENT_FIELDS[name].limit)
    for name, sentence in draft.errors.items():
        if name != "website":
            raise Refused(f"its {name} does not fit: {sentence.rstrip('.')}")
    if "website" not in draft.errors:
        return draft, None
    note = f"imported without its website, because {draft.website!r} cannot be a link"
    return replace(draft, website=None, errors={}), note


def _refuse_long(name: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise Refused(f"its {name} has {len(text):,} characters, and {limit:,} are allowed")


def _moment(row: FileRow, name: str, now: datetime) -> datetime | None:
    text = row.fields.get(name, "").strip()
    try:
        moment = clock.from_text(text) if text else None
    except ValueError:
        raise Refused(f"its {name} {text!r} is no time such as 2026-01-31 23:59") from None
    if moment and moment > now + AHEAD:
        raise Refused(f"its {name} {text} lies in the future")
    return moment and moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _whole(row: FileRow, name: str, *, least: int) -> int | None:
    """Return a number that the book can go on counting from; raises Refused for any other."""
    text = row.fields.get(name, "").strip()
    if text and not (PLAIN_NUMBER.fullmatch(text) and least <= int(text) <= comment_actions.HIGHEST_IMPORTED):
        raise Refused(f"its {name} {text!r} is not from {least} to {comment_actions.HIGHEST_IMPORTED:,}")
    return int(text) if text else None


def _page(row: FileRow, website: str) -> str | None:
    """Return the address of the page that it is about; None for what is no address, and for a path alone."""
    typed = (row.fields.get("page") or row.page).strip()
    try:
        return validate.web_page(website + typed if typed.startswith("/") else typed) if typed else None
    except ValueError:
        return None


def _id(row: FileRow, draft: Draft, created_at: datetime, now: datetime) -> str:
    """Return its own id, or the one that it always gets: for that a second import finds it."""
    given = row.fields.get("id", "").strip()
    if ids.ID.fullmatch(given):
        if given >= ids.first_of(now + AHEAD):
            raise Refused(f"its id {given} lies in the future")
        return given
    content = json.dumps([draft.name, draft.website, draft.message.strip()])
    key = row.key or (f"file {given}" if given else content)
    number = int(given) if PLAIN_NUMBER.fullmatch(given) else row.number
    return ids.derived(created_at, hashlib.sha256(key.encode(errors="replace")).digest(), number)


def _origin(row: FileRow, now: datetime) -> dict[str, Any] | None:
    name = clean_line(row.fields.get("origin_name", ""))
    if not name:
        return None
    url = row.fields.get("origin_url", "").strip() or None
    if len(name) > validate.NAME_LIMIT or (url and comment_form.website_error(url)):
        raise Refused("its origin is not the name of a source and the address of a comment")
    source_id = row.fields.get("origin_source_id", "")
    known = source_id if ids.ID.fullmatch(source_id) else None
    return {"name": name, "url": url, "told_at": _moment(row, "origin_told_at", now), "source_id": known}


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
    after_chunk: Callable[[int], None] = lambda _rows: None  # It gets the number of rows so far.


@dataclass(slots=True)
class ImportReport:
    """What an import has done, or would do."""

    stored: Counter[str] = field(default_factory=Counter)  # by status
    there: int = 0  # comments that the book has, or the file twice
    refused: int = 0
    without_page: int = 0  # comments whose page is no address, or a path of no known website
    broken: str | None = None  # why the rest of the file cannot be read

    @property
    def rows(self) -> int:
        """Return how many rows have been read."""
        return self.stored.total() + self.there + self.refused

    def shape(self) -> dict[str, Any]:
        """Return it as programs get it."""
        counts = {"there_already": self.there, "left_out": self.refused, "without_page": self.without_page}
        return {"imported": dict(self.stored), **counts}


def run_import(rows: Iterable[FileRow], rules: ImportRules) -> ImportReport:
    """Import the comments of a file; raises Refused if not one row can be read."""
    report, size, unread = ImportReport(), 1, iter(rows)
    website = next(iter(preferences.read(db.session()).embed_sites.split()), "")
    database.end(db.session())
    while chunk := _next(unread, size, report):
        comments, began = list(_checked(chunk, rules, report, website)), time.monotonic()
        # If another import was faster, its comments are seen at the second try.
        stored = database.repeat(partial(database.retry_conflicts, partial(_store, comments, rules)))
        # Comments with many deliveries take longer, so fewer of them are stored together.
        seconds = max(time.monotonic() - began, 0.001)
        size = max(1, min(MOST_TOGETHER, 2 * size, int(len(chunk) * TURN / seconds)))
        if stored and not rules.is_rehearsal:
            time.sleep(PAUSE)
        report.stored += stored
        report.there += len(comments) - stored.total()
        rules.after_chunk(report.rows)
    if report.broken and not report.rows:
        raise Refused(report.broken)
    return report


def _next(rows: Iterator[FileRow], size: int, report: ImportReport) -> list[FileRow]:
    chunk: list[FileRow] = []
    try:
        chunk.extend(islice(rows, size))
    except Refused as error:  # What came before it is good.
        report.broken = str(error)
    return chunk


def _checked(
    chunk: Sequence[FileRow], rules: ImportRules, report: ImportReport, website: str
) -> Iterator[CheckedComment]:
    for file_row in chunk:
        try:
            comment = check_row(file_row, clock.now(), website)
            if (row := comment.row()).reply:
                _refuse_long("reply", row.reply.message, comment_actions.REPLY_LIMIT)
                if comment_actions.reply_excess(row, row.reply, rules.settings) > 0:
                    raise Refused("comment and reply are together too long for a webhook")
        except Refused as error:
            report.refused += 1
            rules.say(f"{file_row.where} was left out: {error}.")
        else:
            named = file_row.fields.get("page") or file_row.page
            report.without_page += bool(named and comment.columns["page"] is None)
            if comment.note:
                rules.say(f"{file_row.where} was {comment.note}.")
            yield comment


def _store(comments: Sequence[CheckedComment], rules: ImportRules) -> Counter[str]:
    """Store those that are not there, all or none; return how many by status."""
    if rules.is_rehearsal:
        counts = Counter(one.columns["status"] for one in _new(db.session(), comments))
        database.end(db.session())
        return counts
    with database.writing() as session:
        rows = [one.row() for one in _new(session, comments)]
        comment_actions.keep_number(session, rows)
        comment_actions.give_number(session.connection(), sorted(rows, key=lambda row: row.id))
        session.add_all(rows)
        session.flush()
        for row in rows:
            text_marks.remember_new_text(session.connection(), row)
            if row.status == "held":
                events_and_reminders.begin_hold(session, row)
        for row in rows if rules.with_events else ():
            comment_actions.announce(session, row, rules.settings, row.reply)
        counts = Counter(row.status for row in rows)
        is_seen = counts["published"] > 0
        comment_actions.note_public_change(session, rules.settings, plain_sql.ALL_CHANGED, is_seen=is_seen)
    session.expunge_all()  # A large file needs no more memory than a small one.
    return counts


def _new(session: Session, comments: Sequence[CheckedComment]) -> Iterator[CheckedComment]:
    """Yield those that the book does not have, also not as a comment of another book."""
    urls = [one.url for one in comments if one.url]
    seen: set[str | None] = set()
    seen |= {*session.scalars(select(Comment.id).where(Comment.id.in_([one.id for one in comments])))}
    if urls:
        seen |= {*session.scalars(select(Origin.url).where(Origin.url.in_(urls)))}
    for one in comments:
        if not seen & {one.id, one.url}:
            seen |= {one.id, one.url} - {None}
            yield one

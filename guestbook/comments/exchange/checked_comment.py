"""A comment of a file under the rules of the form: cleaned, not too long, at a time that has been. Pure."""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from guestbook.comments import comment_form, comment_numbers
from guestbook.comments.comment_form import MESSAGE_LIMIT, VISITOR_NAME_LIMIT, Draft
from guestbook.comments.exchange.file_row import FileRow
from guestbook.lib import clock, ids, validate
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line, clean_text
from guestbook.storage.models.comment import COMMENT_STATUSES, REASON_LIMIT

REASONS_LIMIT = 4000  # characters, of all reasons
AHEAD = timedelta(days=1)  # that a clock elsewhere may be
PLAIN_NUMBER = re.compile("[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class CheckedReply:
    """The owner's answer to a comment."""

    message: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CheckedOrigin:
    """Where a comment came from that no visitor wrote in the book."""

    name: str
    url: str | None
    told_at: datetime | None
    source_id: str | None


@dataclass(frozen=True, slots=True)
class CheckedComment:
    """A comment that can be stored as it is."""

    where: str
    id: str
    draft: Draft
    status: str
    reason: str | None
    reasons: str | None
    created_at: datetime
    announced_at: datetime | None
    edited_at: datetime | None
    number: int | None
    reply: CheckedReply | None
    origin: CheckedOrigin | None
    note: str | None = None  # what was left out of it
    last_sequence: int = 0  # of the events that receivers have had about it


def check(row: FileRow, now: datetime) -> CheckedComment:
    """Return the comment; raises Refused with the reason, such as `it has no message`."""
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
    return CheckedComment(
        where=row.where,
        id=_id(row, draft, created_at, now),
        draft=draft,
        status=status,
        reason=clean_line(fields.get("reason", ""))[:REASON_LIMIT] or None,
        reasons=clean_text(fields.get("reasons", ""))[:REASONS_LIMIT] or None,
        created_at=created_at,
        announced_at=_moment(row, "announced_at", now),
        edited_at=_moment(row, "edited_at", now),
        number=_whole(row, "number", least=1),
        reply=_reply(row, created_at, now),
        origin=_origin(row, now),
        note=note,
        last_sequence=_whole(row, "last_sequence", least=0) or 0,
    )


def _draft(row: FileRow) -> tuple[Draft, str | None]:
    """Return what its visitor typed. A wrong website is no reason to lose a comment: it is left out."""
    draft = comment_form.read(row.fields)
    _require("name", draft.name, VISITOR_NAME_LIMIT)
    _require("message", draft.message, MESSAGE_LIMIT)
    for name in ("place", "note"):
        if sentence := draft.errors.get(name):
            raise Refused(f"its {name} does not fit: {sentence.rstrip('.')}")
    if "website" not in draft.errors:
        return draft, None
    note = f"imported without its website, because {draft.website!r} cannot be a link"
    return replace(draft, website=None, errors={}), note


def _require(name: str, text: str, limit: int) -> None:
    if not text:
        raise Refused(f"it has no {name}")
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
    if text and not (PLAIN_NUMBER.fullmatch(text) and least <= int(text) <= comment_numbers.HIGHEST_IMPORTED):
        raise Refused(f"its {name} {text!r} is not from {least} to {comment_numbers.HIGHEST_IMPORTED:,}")
    return int(text) if text else None


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


def _reply(row: FileRow, created_at: datetime, now: datetime) -> CheckedReply | None:
    message = clean_text(row.fields.get("reply", ""))
    if not message:
        return None
    return CheckedReply(message, _moment(row, "reply_created_at", now) or created_at)


def _origin(row: FileRow, now: datetime) -> CheckedOrigin | None:
    name = clean_line(row.fields.get("origin_name", ""))
    if not name:
        return None
    url = row.fields.get("origin_url", "").strip() or None
    if len(name) > validate.NAME_LIMIT or (url and comment_form.website_error(url)):
        raise Refused("its origin is not the name of a source and the address of a comment")
    source_id = row.fields.get("origin_source_id", "")
    known = source_id if ids.ID.fullmatch(source_id) else None
    return CheckedOrigin(name, url, _moment(row, "origin_told_at", now), known)

"""Manage bins: add, change, empty and read them; and keep the requests that they get.

Commands and buttons call these, and the addresses of bins.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from guestbook.lib import body_encoding, ids, validate
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.queue import erasure
from guestbook.storage import audit_log, row_changes
from guestbook.storage.models import Bin, BinRequest

BIN_ANSWER_LIMIT = 4000  # characters of the answer's body
DELAY_LIMIT = 5.0  # seconds
FAILURES_LIMIT = 1000
# No browser shows these as a page, whatever the body holds. HTML, SVG and XML are missing for that reason.
ANSWER_TYPES = ("text/plain", "application/json", "application/x-www-form-urlencoded")
CHARSET = "; charset=utf-8"
DEFAULT_NAME = "bin"


def add(session: Session, fields: Mapping[str, Any], *, row_id: str | None = None) -> Bin:
    """Add a bin from any of `name`, `status`, `body`, `type`, `delay` (seconds) and `fail` (times)."""
    values = {"name": row_changes.free_name(session, Bin, DEFAULT_NAME), **_checked(fields)}
    bin_ = Bin(id=row_id or ids.new(), token=ids.new_url_token(), **values)
    row_changes.refuse_taken_name(session, bin_)
    session.add(bin_)
    session.flush()
    audit_log.record_row(session, "added", bin_)
    return bin_


def update(session: Session, bin_: Bin, fields: Mapping[str, Any]) -> None:
    """Change the named fields, all or, when one is wrong, none."""
    for name, value in _checked(fields).items():
        setattr(bin_, name, value)
    row_changes.refuse_taken_name(session, bin_)
    audit_log.record_changes(session, bin_)
    session.add(bin_)
    session.flush()


def clear(session: Session, bin_id: str) -> int:
    """Remove the requests of a bin; return how many."""
    count = _remove_requests(session, bin_id)
    audit_log.record_row(session, "cleared", session.get_one(Bin, bin_id), counted(count, "request"))
    return count


def delete(session: Session, bin_: Bin) -> int:
    """Remove a bin with its requests; return how many."""
    count = _remove_requests(session, bin_.id)
    audit_log.record_row(session, "deleted", bin_)
    session.delete(bin_)
    session.flush()
    return count


def count(session: Session, bin_id: str) -> int:
    """Return how many requests of a bin are kept."""
    query = select(func.count()).select_from(BinRequest).where(BinRequest.bin_id == bin_id)
    return session.scalar(query) or 0


def held(session: Session) -> dict[str, tuple[int, str]]:
    """Return how many requests each bin holds, and the id of its newest one."""
    query = select(BinRequest.bin_id, func.count(), func.max(BinRequest.id)).group_by(BinRequest.bin_id)
    return {row[0]: (row[1], row[2]) for row in session.execute(query)}


def latest(session: Session, bin_id: str, limit: int, before: str | None = None) -> list[BinRequest]:
    """Return requests of a bin, the newest first; with `before` those before that id."""
    query = select(BinRequest).where(BinRequest.bin_id == bin_id).order_by(BinRequest.id.desc())
    if before is not None:
        query = query.where(BinRequest.id < before)
    return list(session.scalars(query.limit(limit)))


def find(session: Session, token: str) -> str | None:
    """Return the id of the bin at that address."""
    return session.scalar(select(Bin.id).where(Bin.token == token))


def _remove_requests(session: Session, bin_id: str) -> int:
    removed = session.connection().execute(delete_rows(BinRequest).where(BinRequest.bin_id == bin_id))
    return removed.rowcount or 0


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns for the named fields; refuses with a sentence for each field that is wrong."""
    checks: dict[str, tuple[str, validate.Check]] = {
        "name": ("name", validate.name),
        "status": ("answer_status", validate.whole(200, 599, "status", "The status must be a number")),
        "body": ("answer_body", _body),
        "type": ("answer_type", _type),
        "delay": ("delay_milliseconds", _delay),
        "fail": ("failures_left", validate.whole(0, FAILURES_LIMIT, "fail", "The failures must be a number")),
    }
    return validate.given(fields, checks)


def _body(value: str) -> str:
    if len(value) > BIN_ANSWER_LIMIT:
        raise Refused(f"The body must have at most {BIN_ANSWER_LIMIT:,} characters.", field="body")
    return validate.storable(value, field="body")


def _type(value: str) -> str:
    name = value.removesuffix(CHARSET)
    if name not in ANSWER_TYPES:
        raise Refused(f"The content type must be one of {', '.join(ANSWER_TYPES)}.", field="type")
    return name + CHARSET


def _delay(value: object) -> int:
    what = "The delay must be a number of seconds"
    return round(validate.number(value, 0, DELAY_LIMIT, field="delay", what=what, whole=False) * 1000)


REQUESTS_KEPT = 200  # requests of each bin; retention limits their age
BODY_KEPT = 256 * 1024  # bytes of a body
HEADERS_KEPT = 64 * 1024  # bytes of the headers, as JSON: a bin takes at most 100 MB
FAILING_STATUS = 500  # the status of an answer that fails


@dataclass(frozen=True, slots=True)
class CapturedRequest:
    """A request as it arrived."""

    method: str
    path: str  # after the token
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class BinAnswer:
    """The answer of a bin."""

    status: int
    body: str
    type: str
    delay: float  # seconds


def capture(session: Session, bin_id: str, captured: CapturedRequest) -> BinAnswer | None:
    """Store a request and return the answer; None if the bin was deleted meanwhile.

    The bin's row is locked, so each of many simultaneous requests counts.
    """
    lock = {"key_share": True}
    bin_ = session.get(Bin, bin_id, with_for_update=lock, populate_existing=True)
    if bin_ is None:
        return None
    answer = _answer(bin_)
    row = _row(bin_id, captured, answer.status)
    if row.event_id and erasure.is_erased(session.connection(), row.event_id, captured.received_at):
        return answer  # its comment was deleted for good meanwhile, so nothing is kept
    session.add(row)
    session.flush()
    _drop_oldest(session, bin_id)
    return answer


def _answer(bin_: Bin) -> BinAnswer:
    """Return the next answer, and count the failures down."""
    delay = bin_.delay_milliseconds / 1000
    if bin_.failures_left > 0:
        bin_.failures_left -= 1
        return BinAnswer(FAILING_STATUS, "This bin is set to fail.\n", ANSWER_TYPES[0] + CHARSET, delay)
    return BinAnswer(bin_.answer_status, bin_.answer_body, bin_.answer_type, delay)


def _row(bin_id: str, captured: CapturedRequest, answered: int) -> BinRequest:
    packed, encoding = body_encoding.pack(captured.body[:BODY_KEPT])
    sizes = accumulate(len(json.dumps(header)) + 2 for header in captured.headers)
    headers = [one for one, size in zip(captured.headers, sizes, strict=True) if size <= HEADERS_KEPT]
    named = (value for name, value in captured.headers if name.lower() == "webhook-id")
    return BinRequest(
        bin_id=bin_id,
        method=captured.method,
        path=captured.path,
        query=captured.query,
        headers=json.dumps(headers),
        body=packed,
        encoding=encoding,
        size=len(captured.body),
        answered=answered,
        received_at=captured.received_at,
        event_id=next(filter(ids.ID.fullmatch, named), None),  # None if it cannot be one of ours
    )


def _drop_oldest(session: Session, bin_id: str) -> None:
    newest_first = select(BinRequest.id).where(BinRequest.bin_id == bin_id).order_by(BinRequest.id.desc())
    too_many = newest_first.offset(REQUESTS_KEPT).limit(REQUESTS_KEPT)
    old = session.scalars(too_many).all()  # MariaDB knows no OFFSET within IN
    if old:
        session.connection().execute(delete_rows(BinRequest).where(BinRequest.id.in_(old)))

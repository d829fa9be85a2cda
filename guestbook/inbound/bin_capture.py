"""Store a request that a bin captures, and answer it as the bin is set."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.inbound.bins import ANSWER_TYPES, CHARSET
from guestbook.lib import byte_text, ids
from guestbook.queue import erasure
from guestbook.storage.models import Bin, BinRequest

REQUESTS_KEPT = 200  # for each bin; retention limits their age
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
    packed, encoding = byte_text.pack(captured.body[:BODY_KEPT])
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
        event_id=next(filter(ids.ID.fullmatch, named), None),  # if it may be one of ours
    )


def _drop_oldest(session: Session, bin_id: str) -> None:
    newest_first = select(BinRequest.id).where(BinRequest.bin_id == bin_id).order_by(BinRequest.id.desc())
    too_many = newest_first.offset(REQUESTS_KEPT).limit(REQUESTS_KEPT)
    old = session.scalars(too_many).all()  # MariaDB knows no OFFSET within IN
    if old:
        session.connection().execute(delete_rows(BinRequest).where(BinRequest.id.in_(old)))

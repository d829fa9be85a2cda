"""Manage bins: add, change, empty and read them. Commands and buttons call these."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from guestbook.lib import ids, validate
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
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

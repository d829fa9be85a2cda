"""/healthz for monitors: is the database there, and does cron run?"""

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from guestbook.lib import clock
from guestbook.queries import cron_status
from guestbook.queries.cron_status import Health
from guestbook.storage import book_file, database_errors, writable
from guestbook.storage.book_file import HostNote
from guestbook.storage.database import db
from guestbook.storage.database_errors import Fault
from guestbook.web import (
    database_error_pages,
    error_pages,
    request_context,
    response_headers,
    send_after_requests,
)

pages = Blueprint("health", __name__)

DATABASE_STATES = {
    Fault.AWAY: "database cannot be used",
    Fault.NO_TABLES: "tables are missing",
    Fault.OLD_TABLES: "tables are older than the program",
    Fault.TOO_OLD: "tables are older than the program can upgrade",
    Fault.NEW_TABLES: "tables are newer than the program",
    Fault.SECOND_HOST: "two hosts use one SQLite file",
    Fault.DAMAGED: "database is damaged",
    Fault.REFUSED: "database refused a value",
    Fault.BROKEN: "something broke",
}
CANNOT_BE_WRITTEN = "database cannot be written"


@pages.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Return the seconds since the last pass ended and since the oldest delivery became due."""
    cron_status.require_columns(db.session())
    read = cron_status.read(db.session(), clock.now())
    db.session.rollback()
    file = HostNote(request_context.settings(), book_file.WEB).file
    if file and book_file.two_hosts(file, clock.now()):
        return _answer(DATABASE_STATES[Fault.SECOND_HOST], read, 503)
    if failure := writable.error(db.engine):
        is_damaged = database_errors.fault_of(failure) is Fault.DAMAGED
        return _answer(DATABASE_STATES[Fault.DAMAGED] if is_damaged else CANNOT_BE_WRITTEN, read, 503)
    is_well = read.is_well or _is_sent_after_this()
    return _answer("ok" if is_well else "cron is late", read, 200 if is_well else 503)


def _is_sent_after_this() -> bool:
    """Whether the end of this very request sends what is due, and the last such end did not fail."""
    return (
        request_context.settings().send_after_requests and send_after_requests.of(current_app).problem is None
    )


@pages.errorhandler(Exception)
def broken(error: Exception) -> ResponseReturnValue:
    """Answer every error in the same shape; a monitor reads the status."""
    if isinstance(error, HTTPException):
        return error_pages.answer(error)
    fault = database_error_pages.log(error) if isinstance(error, SQLAlchemyError) else Fault.BROKEN
    if fault is Fault.BROKEN:
        current_app.logger.error("Request %s failed.", response_headers.request_id(), exc_info=error)
    return _answer(DATABASE_STATES[fault], Health(None, None), 503)


def _answer(status: str, read: Health, code: int) -> ResponseReturnValue:
    answer = jsonify(status=status, last_pass_age=read.last_pass_age, oldest_due_age=read.oldest_due_age)
    answer.headers["Cache-Control"] = "no-store"
    return answer, code

"""Every error gets an answer of our own: a page for people, JSON for programs."""

from flask import Flask, Response, current_app, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import BadHost, HTTPException, InternalServerError, SecurityError, ServiceUnavailable

from guestbook.settings import installation
from guestbook.storage import database_errors
from guestbook.storage.database_errors import Fault, WrongVersion
from guestbook.web import error_json, request_id
from guestbook.web.error_texts import (
    BOOK_UPDATING,
    DATABASE_FAULTS,
    ERROR_TEXTS,
    FORM_EXPIRED,
    VERSION_ADVICE,
    BookUpdating,
)

JSON_PATHS = ("/api/", "/healthz", "/hooks/", "/bin/", "/cron/")
ADMIN_PATH = "/admin"
DATABASE_RETRY_SECONDS = 60


def init_app(app: Flask) -> None:
    """Answer every error, foreseen or not."""
    app.register_error_handler(HTTPException, answer)
    app.register_error_handler(SQLAlchemyError, answer_database)
    app.after_request(request_id.add_header)


def answer(error: HTTPException) -> Response:
    """Answer with the error's status and headers and our own body; redirects stay as they are."""
    response = current_app.make_response(error.get_response())
    if response.status_code < 400:
        return response
    if response.status_code == InternalServerError.code:
        current_app.logger.error("Request %s: %s %s failed.", request_id.get(), request.method, request.path)
    if request.path.startswith(JSON_PATHS):
        return error_json.answer(response, error)
    if isinstance(error, (BadHost, SecurityError)):  # with an invalid Host a page could link nowhere
        return response
    title, sentence = _words(error, response.status_code)
    number = request_id.get() if response.status_code >= InternalServerError.code else None
    response.data = render_template(
        "error.html", title=title, sentence=sentence, request_id=number, is_admin=is_admin_page()
    )
    response.content_type = "text/html; charset=utf-8"
    return response


def answer_database(error: SQLAlchemyError) -> Response:
    """Answer 503 when the database is away or has another version, else 500; the log says why."""
    fault = log(error)
    if fault is Fault.BROKEN:
        raise error
    if isinstance(error, WrongVersion):
        command = f"{'flask --app ' if installation.in_checkout() else ''}guestbook {fault.repair}"
        sentence = VERSION_ADVICE[fault].format(command) if is_admin_page() else BOOK_UPDATING
        return answer(BookUpdating(sentence, retry_after=DATABASE_RETRY_SECONDS))
    if fault is Fault.AWAY:
        return answer(ServiceUnavailable(retry_after=DATABASE_RETRY_SECONDS))
    return answer(InternalServerError(DATABASE_FAULTS.get(fault)))


def log(error: SQLAlchemyError) -> Fault:
    """Log what is wrong with the database, and return it."""
    fault = database_errors.fault_of(error)
    advice = f" Run {fault.repair}." if fault.repair else ""
    words = "" if isinstance(error, WrongVersion) else f": {database_errors.words(error)}"
    current_app.logger.error("Request %s: %s%s.%s", request_id.get(), fault.value, words, advice)
    return fault


def is_admin_page() -> bool:
    """Whether the address is under /admin, whether a page exists there or not."""
    return f"{request.path}/".startswith(f"{ADMIN_PATH}/")


def _words(error: HTTPException, status: int) -> tuple[str, str]:
    if isinstance(error, CSRFError):
        return FORM_EXPIRED
    if isinstance(error, BookUpdating):
        return error.title, error.description or ""
    text = ERROR_TEXTS.get(status)
    title, sentence = (text.title, text.for_people) if text and text.title else (error.name, "")
    return title, error_json.fitting(error_json.own_description(error) or sentence or error.description or "")

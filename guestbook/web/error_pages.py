"""Answers for what went wrong: a page in the book's own dress, or JSON where programs ask."""

import re
import secrets
from collections.abc import Mapping

from flask import Flask, Response, current_app, g, json, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import (
    BadHost,
    Forbidden,
    HTTPException,
    InternalServerError,
    SecurityError,
    ServiceUnavailable,
)

from guestbook.lib.errors import Refused
from guestbook.storage import database_errors
from guestbook.storage.database_errors import Fault

JSON_PATHS = ("/api/", "/healthz", "/hooks/", "/bin/")
ADMIN_PATH = "/admin"
DATABASE_RETRY_SECONDS = 60  # seconds

SENTENCES = {
    400: ("That did not arrive whole", "Nothing was stored. Going back and trying again may help."),
    403: (
        "You are not logged in",
        "Nothing was changed. Log in, then go back, load the page anew and send it again.",
    ),
    404: ("There is no such page", "It may have been taken out of the book, or the address is misspelt."),
    405: ("That cannot be done here", "This address exists, but not for what was asked of it."),
    413: (
        "That is more than the book can take",
        "Nothing was stored. Your browser's Back button brings your text back, so that you can shorten it.",
    ),
    422: ("That cannot be taken as it is", "Nothing was changed. Go back, load the page anew and try again."),
    500: ("Something broke on our side", "It was written down for the owner. Please try again in a moment."),
    503: ("The book cannot be reached", "It is only for a moment, we hope. Please try again in a minute."),
}
PAGES = {  # what waiting does not repair
    Fault.NO_TABLES: "The book is not set up yet: its owner has to make the tables.",
    Fault.OLD_TABLES: "The book was updated, and its owner has to bring the tables up to date.",
    Fault.DAMAGED: "The book's database is damaged, and its owner has to repair it.",
    Fault.REFUSED: "The database refused a value, so nothing was changed.",
}
STALE = (
    "This page was too old",
    "Nothing was changed. Go back, load it anew and send it again; your browser must accept our cookie.",
)


class InsufficientScope(Forbidden):
    """The program's token may do less than it asks for."""

    code_word = "insufficient_scope"


# What stays the same, so that a program may decide by it.
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "content_too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    500: "internal_server_error",
    503: "service_unavailable",
}
TO_PROGRAMS = {
    400: "This request could not be read. Nothing was changed.",
    404: "There is nothing at this address.",
    405: "This method is not for this address; the header Allow names those that are.",
    413: "This is more than the book takes at once. Nothing was changed.",
    500: "Something broke on our side. It was written down for the owner.",
    503: "The book cannot be reached at the moment. Please try again in a minute.",
}


UNCHANGED = re.compile(r"Nothing was (?:changed|stored)\. ?")


def init_app(app: Flask) -> None:
    """Answer every error, foreseen or not, ourselves."""
    app.register_error_handler(HTTPException, answer)
    app.register_error_handler(SQLAlchemyError, answer_database)
    app.after_request(add_request_id)


def answer(error: HTTPException) -> Response:
    """Answer with the error's status and headers, and a body of our own; redirects go through untouched."""
    response = current_app.make_response(error.get_response())
    if response.status_code < 400:
        return response
    if response.status_code == InternalServerError.code:
        current_app.logger.error("Request %s: %s %s failed.", request_id(), request.method, request.path)
    if request.path.startswith(JSON_PATHS):
        code = getattr(error, "code_word", None)
        return _as_json(response, _to_program(error, response.status_code), code=code)
    if isinstance(error, (BadHost, SecurityError)):  # the Host is none, so a page could link nowhere
        return response
    title, sentence = _words(error, response.status_code)
    quote = request_id() if response.status_code >= InternalServerError.code else None
    response.data = render_template(
        "error.html", title=title, sentence=sentence, quote=quote, is_admin=is_admin_page()
    )
    response.content_type = "text/html; charset=utf-8"
    return response


def answer_database(error: SQLAlchemyError) -> Response:
    """Answer 503 when the database is away, 500 when waiting would not help; the log has why."""
    fault = log(error)
    if fault is Fault.BROKEN:
        raise error
    if fault is Fault.AWAY:
        return answer(ServiceUnavailable(retry_after=DATABASE_RETRY_SECONDS))
    return answer(InternalServerError(PAGES.get(fault)))


def log(error: SQLAlchemyError) -> Fault:
    """Write down what is wrong with the database, and return it."""
    fault = database_errors.fault_of(error)
    advice = " Run init-db." if fault.needs_init_db else ""
    said = (request_id(), fault.value, database_errors.words(error), advice)
    current_app.logger.error("Request %s: %s: %s.%s", *said)
    return fault


def request_id() -> str:
    """Return the number of this request, which the log and an error's page name."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(6)
    number: str = g.request_id
    return number


def add_request_id(response: Response) -> Response:
    """Let every error be found in the log."""
    if response.status_code >= 400:
        response.headers["X-Request-Id"] = request_id()
    return response


def refuse(error: Refused, status: int = 422) -> Response:
    """Answer a program that what it sent is refused, with a sentence for each field that is wrong."""
    return _as_json(Response(status=status), _about_fields(error) or _fitting(str(error)), error.fields)


def _about_fields(error: Refused) -> str | None:
    """Say which fields are wrong, and leave to each its sentence."""
    if not error.fields:
        return None
    names = ", ".join(error.fields)
    wrong = f"the field {names} is wrong" if len(error.fields) == 1 else f"these fields are wrong: {names}"
    return f"T{wrong[1:]}." if _is_reading() else f"Nothing was changed, because {wrong}."


def is_admin_page() -> bool:
    """Whether the address is an admin page, be there a page or not."""
    return f"{request.path}/".startswith(f"{ADMIN_PATH}/")


def _as_json(
    response: Response, message: str, fields: Mapping[str, str] | None = None, *, code: str | None = None
) -> Response:
    status = response.status_code
    code = code or CODES.get(status, f"http_{status}")
    told: dict[str, object] = {"code": code, "message": message, "request_id": request_id()}
    if fields:
        told["fields"] = fields
    response.data = json.dumps({"error": told})
    response.content_type = "application/json"
    return response


def _to_program(error: HTTPException, status: int) -> str:
    """Return what the view has said itself, else our sentence for that status."""
    return _fitting(_said(error) or TO_PROGRAMS.get(status) or error.name)


def _fitting(sentence: str) -> str:
    """Leave out that nothing was changed where nobody wanted to change anything."""
    return UNCHANGED.sub("", sentence).strip() if _is_reading() else sentence


def _is_reading() -> bool:
    return request.method in ("GET", "HEAD")


def _said(error: HTTPException) -> str | None:
    """Return what a view of ours has said itself, in place of Werkzeug's words for that status."""
    return error.description if error.description != type(error).description else None


def _words(error: HTTPException, status: int) -> tuple[str, str]:
    if isinstance(error, CSRFError):
        return STALE
    title, sentence = SENTENCES.get(status) or (error.name, error.description or "")
    return title, _fitting(_said(error) or sentence)

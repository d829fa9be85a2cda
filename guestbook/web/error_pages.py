"""Every error gets an answer of our own: a page for people, JSON for programs.

First come their texts, then the JSON, then the pages. Those of the database are in database_error_pages.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote

from flask import Response, current_app, g, json, render_template, request
from werkzeug.exceptions import (
    BadHost,
    BadRequest,
    Forbidden,
    HTTPException,
    InternalServerError,
    SecurityError,
    ServiceUnavailable,
)

from guestbook.lib import redaction
from guestbook.lib.errors import Refused, Translatable
from guestbook.web import response_headers, visitor_tokens
from guestbook.web.translation_and_template_filters import translated


class ErrorText(NamedTuple):
    """A code that programs may rely on, and the sentences."""

    code: str
    title: str = ""
    for_people: str = ""
    for_programs: str = ""


class InsufficientScope(Forbidden):
    """The token's scope is too small for this request."""

    code_word = "insufficient_scope"


class BookUpdating(ServiceUnavailable):
    """The tables have another version than the program: its owner is about to upgrade, or should."""

    title = Translatable("The book is being updated")


class PageExpired(BadRequest):
    """A form of the admin pages came without the token that belongs to this browser."""

    title = "This page has expired"
    description = "Nothing was changed. Allow cookies here, go back, reload the page and send it again."


class NotYours(Forbidden):
    """This browser has not written the comment, or too long ago, or it is deleted."""

    title = Translatable("You cannot change this comment")
    description = Translatable(
        "You can change a comment for %(time)s, in the browser that wrote it. Later, ask the owner of the "
        "book to change or delete it.",
        time=visitor_tokens.CHANGE_TIME,
    )


ERROR_TEXTS = {
    400: ErrorText(
        "bad_request",
        Translatable("That request was incomplete"),
        Translatable("Nothing was stored. Go back and try again."),
        "This request cannot be read. Nothing was changed.",
    ),
    401: ErrorText("unauthorized"),
    403: ErrorText(
        "forbidden",
        Translatable("You are not logged in"),
        Translatable("Nothing was changed. Log in, go back, reload the page and send it again."),
    ),
    404: ErrorText(
        "not_found",
        Translatable("There is no such page"),
        Translatable("It may have been deleted, or the address is misspelt."),
        "There is nothing at this address.",
    ),
    405: ErrorText(
        "method_not_allowed",
        Translatable("That cannot be done here"),
        Translatable("This address exists, but it does not support this request."),
        "This address does not support this method. The Allow header lists those that it supports.",
    ),
    409: ErrorText("conflict"),
    412: ErrorText(
        "precondition_failed",
        for_programs="It has changed since you read it. Nothing was changed. Read it again.",
    ),
    413: ErrorText(
        "content_too_large",
        Translatable("That is too long"),
        Translatable(
            "Nothing was stored. Press your browser's Back button to get your text back, then shorten it."
        ),
        "This request is too long. Nothing was changed.",
    ),
    415: ErrorText("unsupported_media_type"),
    422: ErrorText(
        "invalid",
        Translatable("That cannot be accepted"),
        Translatable("Nothing was changed. Go back, reload the page and try again."),
    ),
    429: ErrorText("too_many_requests", Translatable("Too Many Requests")),
    500: ErrorText(
        "internal_server_error",
        Translatable("Something went wrong on our side"),
        Translatable("The error is in the owner's log. Please try again in a moment."),
        "Something went wrong on our side. The error is in the owner's log.",
    ),
    503: ErrorText(
        "service_unavailable",
        Translatable("The book cannot be reached"),
        Translatable("Please try again in a minute."),
        "The book cannot be reached at the moment. Please try again in a minute.",
    ),
}

log = logging.getLogger(__name__)

NOTHING_STORED = Translatable("Nothing was stored.")
UNCHANGED = (Translatable("Nothing was changed."), NOTHING_STORED)


def refuse_json(error: Refused) -> Response:
    """Answer that the request is refused, with a sentence for each wrong field."""
    names = ", ".join(error.fields)
    if not names:
        return fill_json(Response(status=422), fitting(str(error)))
    wrong = f"the field {names} is wrong" if len(error.fields) == 1 else f"these fields are wrong: {names}"
    message = f"T{wrong[1:]}." if _is_reading() else f"Nothing was changed, because {wrong}."
    return fill_json(Response(status=422), message, error.fields)


def fill_json(
    response: Response, message: str, fields: Mapping[str, str] | None = None, *, code: str | None = None
) -> Response:
    """Make the response a JSON error."""
    text = ERROR_TEXTS.get(response.status_code)
    code = code or (text.code if text else f"http_{response.status_code}")
    error: dict[str, object] = {"code": code, "message": message, "request_id": response_headers.request_id()}
    response.data = json.dumps({"error": error | ({"fields": fields} if fields else {})})
    response.content_type = "application/json"
    # Other paths have secrets in them, and our own mistakes are logged already.
    if request.path.startswith("/api/") and response.status_code < 500:
        level = logging.WARNING if g.get("token_id") else logging.INFO  # The owner's programs have a token.
        facts = response_headers.request_id(), request.method, quote(request.path), response.status_code, code
        log.log(level, "Request %s: %s %s got %s %s.", *facts)
    return response


def own_description(error: HTTPException) -> str | None:
    """Return the sentence of our own view; None for Werkzeug's standard words."""
    return error.description if error.description != type(error).description else None


def fitting(sentence: str, unchanged: Iterable[str] = UNCHANGED) -> str:
    """Leave out that nothing was changed where the request only read."""
    if not _is_reading():
        return sentence
    for phrase in unchanged:
        sentence = sentence.replace(f"{phrase} ", "").replace(phrase, "")
    return sentence.strip()


def _is_reading() -> bool:
    return request.method in ("GET", "HEAD")


JSON_PATHS = ("/api/", "/healthz", "/hooks/", "/bin/", "/cron/")


def answer(error: HTTPException) -> Response:
    """Answer with the error's status and headers and our own body; redirects stay as they are."""
    response = current_app.make_response(error.get_response())
    if response.status_code < 400:
        return response
    if response.status_code == InternalServerError.code:
        facts = response_headers.request_id(), request.method, redaction.addresses(request.path)
        current_app.logger.error("Request %s: %s %s failed.", *facts)
    text = ERROR_TEXTS.get(response.status_code)
    if request.path.startswith(JSON_PATHS):
        message = own_description(error) or (text and text.for_programs) or error.name
        return fill_json(response, fitting(message), code=getattr(error, "code_word", None))
    if isinstance(error, (BadHost, SecurityError)):  # A page could link nowhere.
        return response
    title, sentence = _words(error, text)
    number = response_headers.request_id() if response.status_code >= InternalServerError.code else None
    response.data = render_template(
        "error.html",
        title=title,
        sentence=sentence,
        request_id=number,
        is_admin=response_headers.is_admin_page(),
        leads_to_doctor=number is not None and not needs_no_login(),
    )
    response.content_type = "text/html; charset=utf-8"
    return response


def needs_no_login() -> bool:
    """Whether it is the page of the login, or another that strangers may see under /admin."""
    return (request.endpoint or "").startswith("admin.login.") or is_setup()


def is_setup() -> bool:
    """Whether it is a page for the set-up of a new book, or of its tables."""
    return request.blueprint == "admin.setup"


def _words(error: HTTPException, text: ErrorText | None) -> tuple[str, str]:
    if isinstance(error, BookUpdating | PageExpired | NotYours):
        return translated(error.title), translated(error.description or "")
    title, sentence = (text.title, text.for_people) if text and text.title else (error.name, "")
    sentence = own_description(error) or sentence or error.description or ""
    unchanged = [translated(phrase) for phrase in UNCHANGED]
    return translated(title), fitting(translated(sentence), unchanged)

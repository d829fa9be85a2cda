"""Every error gets an answer of our own: a page for people, JSON for programs.

Those of the database are in database_error_pages.
"""

from flask import Flask, Response, current_app, render_template, request
from werkzeug.exceptions import BadHost, HTTPException, InternalServerError, SecurityError

from guestbook.lib import redaction
from guestbook.web import error_json, owner_pages, request_id
from guestbook.web.error_texts import ERROR_TEXTS, BookUpdating, NotYours, PageExpired
from guestbook.web.translation import translated

JSON_PATHS = ("/api/", "/healthz", "/hooks/", "/bin/", "/cron/")
LOGIN_ENDPOINTS = "admin.login."  # so begin the endpoints that need no login


def init_app(app: Flask) -> None:
    """Answer every error, foreseen or not."""
    app.register_error_handler(HTTPException, answer)
    app.after_request(request_id.add_header)


def answer(error: HTTPException) -> Response:
    """Answer with the error's status and headers and our own body; redirects stay as they are."""
    response = current_app.make_response(error.get_response())
    if response.status_code < 400:
        return response
    if response.status_code == InternalServerError.code:
        path = redaction.addresses(request.path)
        current_app.logger.error("Request %s: %s %s failed.", request_id.get(), request.method, path)
    if request.path.startswith(JSON_PATHS):
        return error_json.answer(response, error)
    if isinstance(error, (BadHost, SecurityError)):  # with an invalid Host a page could link nowhere
        return response
    title, sentence = _words(error, response.status_code)
    number = request_id.get() if response.status_code >= InternalServerError.code else None
    response.data = render_template(
        "error.html",
        title=title,
        sentence=sentence,
        request_id=number,
        is_admin=owner_pages.is_admin_page(),
        leads_to_doctor=number is not None and not needs_no_login(),
    )
    response.content_type = "text/html; charset=utf-8"
    return response


def needs_no_login() -> bool:
    """Whether it is the page of the login, or another that strangers may see under /admin."""
    return (request.endpoint or "").startswith(LOGIN_ENDPOINTS)


def _words(error: HTTPException, status: int) -> tuple[str, str]:
    if isinstance(error, BookUpdating | PageExpired | NotYours):
        return translated(error.title), translated(error.description or "")
    text = ERROR_TEXTS.get(status)
    title, sentence = (text.title, text.for_people) if text and text.title else (error.name, "")
    sentence = error_json.own_description(error) or sentence or error.description or ""
    unchanged = [translated(phrase) for phrase in error_json.UNCHANGED]
    return translated(title), error_json.fitting(translated(sentence), unchanged)

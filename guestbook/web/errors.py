"""Answers for what went wrong: a page in the book's own dress, or JSON where programs ask."""

from flask import Flask, Response, current_app, jsonify, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, ServiceUnavailable

from guestbook import database

PROGRAMS = ("/api/", "/healthz")
RETRY_AFTER = 60  # seconds

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
    500: ("Something broke on our side", "It was written down for the owner. Please try again in a moment."),
    503: ("The book cannot be reached", "It is only for a moment, we hope. Please try again in a minute."),
}
STALE = (
    "This page was too old",
    "Nothing was changed. Go back, load it anew and send it again; your browser must accept our cookie.",
)


def init_app(app: Flask) -> None:
    """Answer every error, foreseen or not, ourselves."""
    app.register_error_handler(HTTPException, answer)
    app.register_error_handler(SQLAlchemyError, answer_away)


def answer(error: HTTPException) -> Response:
    """Answer with the error's status and headers, and a body of our own; redirects go through untouched."""
    response = current_app.make_response(error.get_response())
    if response.status_code < 400:
        return response
    title, sentence = _words(error, response.status_code)
    if request.path.startswith(PROGRAMS):
        code = error.name.lower().replace(" ", "_")
        response.data = jsonify(error={"code": code, "message": f"{title}. {sentence}"}).data
        response.content_type = "application/json"
    else:
        at_desk = request.path.startswith("/admin")
        response.data = render_template("error.html", title=title, sentence=sentence, at_desk=at_desk)
        response.content_type = "text/html; charset=utf-8"
    return response


def _words(error: HTTPException, status: int) -> tuple[str, str]:
    if isinstance(error, CSRFError):
        return STALE
    return SENTENCES.get(status) or (error.name, error.description or "")


def answer_away(error: SQLAlchemyError) -> Response:
    """Answer 503 when the database is away; the log has the reason. Anything else is a mistake of ours."""
    if not database.is_away(error):
        raise error
    current_app.logger.error("The database is away: %s", getattr(error, "orig", error))
    return answer(ServiceUnavailable(retry_after=RETRY_AFTER))

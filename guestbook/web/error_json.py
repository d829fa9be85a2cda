"""Errors for programs: JSON of one shape, with a sentence for each wrong field."""

import logging
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from flask import Response, g, json, request
from werkzeug.exceptions import HTTPException

from guestbook.lib.errors import Refused
from guestbook.lib.translatable import Translatable
from guestbook.web import request_id
from guestbook.web.error_texts import ERROR_TEXTS

log = logging.getLogger(__name__)

NOTHING_STORED = Translatable("Nothing was stored.")
UNCHANGED = (Translatable("Nothing was changed."), NOTHING_STORED)


def refuse(error: Refused) -> Response:
    """Answer that the request is refused, with a sentence for each wrong field."""
    return fill(Response(status=422), _about_fields(error) or fitting(str(error)), error.fields)


def answer(response: Response, error: HTTPException) -> Response:
    """Give the answer to an HTTP error its body."""
    text = ERROR_TEXTS.get(response.status_code)
    message = own_description(error) or (text and text.for_programs) or error.name
    return fill(response, fitting(message), code=getattr(error, "code_word", None))


def fill(
    response: Response, message: str, fields: Mapping[str, str] | None = None, *, code: str | None = None
) -> Response:
    """Make the response a JSON error."""
    text = ERROR_TEXTS.get(response.status_code)
    code = code or (text.code if text else f"http_{response.status_code}")
    error: dict[str, object] = {"code": code, "message": message, "request_id": request_id.get()}
    if fields:
        error["fields"] = fields
    response.data = json.dumps({"error": error})
    response.content_type = "application/json"
    _log(response.status_code, code)
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


def _about_fields(error: Refused) -> str | None:
    """Name the wrong fields; each has its own sentence."""
    if not error.fields:
        return None
    names = ", ".join(error.fields)
    wrong = f"the field {names} is wrong" if len(error.fields) == 1 else f"these fields are wrong: {names}"
    return f"T{wrong[1:]}." if _is_reading() else f"Nothing was changed, because {wrong}."


def _log(status: int, code: str) -> None:
    """Log an error of the API; the owner's programs have a token. Our own mistakes are logged already.

    Other paths have secrets in them.
    """
    if request.path.startswith("/api/") and status < 500:
        level = logging.WARNING if g.get("token_id") else logging.INFO
        path = quote(request.path)
        log.log(level, "Request %s: %s %s got %s %s.", request_id.get(), request.method, path, status, code)


def _is_reading() -> bool:
    return request.method in ("GET", "HEAD")

"""The format `template`: what the owner's own Jinja template gives, which must be JSON."""

import json
from typing import Any, NoReturn

from guestbook import clock, sandbox
from guestbook.formats import sample
from guestbook.formats.told import FormatFault, Told

LIMIT = 60_000  # bytes of a body: MariaDB's TEXT has 65,535
MISSING = "The webhook has no template."


def render(told: Told) -> str:
    """Return the body. A template sees `event`, `timestamp`, `data`, and each part of the data by its name.

    A ping has a sample of each part: it is sent to see whether the receiver takes what the template gives.
    """
    if not told.template:
        raise FormatFault(MISSING)
    data = {**sample.parts(), **told.data} if told.event == "ping" else told.data
    values = {**data, "event": told.event, "timestamp": clock.to_text(told.moment), "data": data}
    try:
        body = sandbox.render(told.template, values).text.strip()
    except sandbox.TemplateFault as error:
        raise FormatFault(str(error)) from None
    _check(body)
    return body


def _check(body: str) -> None:
    try:
        size = len(body.encode())
        _read(body)
    except (ValueError, RecursionError) as error:
        raise FormatFault(f"The template does not give JSON: {_where(error)}.") from None
    if size > LIMIT:
        raise FormatFault(f"The template gives {size:,} bytes. Please let it give at most {LIMIT:,}.")


def _read(body: str) -> Any:
    return json.loads(body, parse_constant=_refuse)


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number there")


def _where(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        if not error.doc:
            return "it gives nothing"
        return f"{error.msg.rstrip('.')} in line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeEncodeError):
        return "it has half a character"
    return "it is too deeply nested" if isinstance(error, RecursionError) else str(error)

"""The format `template`: what the owner's own Jinja template gives, which must be JSON."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from guestbook.lib import clock, template_sandbox
from guestbook.outbound.formats import sample_data
from guestbook.outbound.formats.format_input import FormatError, FormatInput

LIMIT = 60_000  # bytes of a body: MariaDB's TEXT has 65,535
UNTRIED = ("inbound.received", "ping")
MISSING = "The webhook has no template."
HINT = "Where a text belongs, write {{ comment.name|tojson }} without quotes around it."


def render(told: FormatInput) -> str:
    """Return the body. A template sees `event`, `timestamp`, `data`, and each part of the data by its name.

    A ping has a sample of each part: it is sent to see whether the receiver takes what the template gives.
    """
    if not told.template:
        raise FormatError(MISSING)
    data = {**sample_data.parts(), **told.data} if told.event == "ping" else told.data
    values = {**data, "event": told.event, "timestamp": clock.to_text(told.moment), "data": data}
    try:
        body = template_sandbox.render(told.template, values).text.strip()
    except template_sandbox.TemplateFault as error:
        raise FormatError(str(error)) from None
    _check(body)
    return body


def check(source: str, events: Sequence[str]) -> None:
    """Raise FormatError when this is no template, or does not give JSON for one of the events.

    What a source forwards is not tried, for nobody knows what is in it, nor is the ping.
    """
    try:
        template_sandbox.check(source)
    except template_sandbox.TemplateFault as error:
        raise FormatError(str(error)) from None
    for event in events:
        if event in UNTRIED:
            continue
        try:
            render(FormatInput(event, sample_data.WHEN, sample_data.data(event), template=source))
        except FormatError as error:
            raise FormatError(f"For {event}: {error}") from None


def _check(body: str) -> None:
    try:
        size = len(body.encode())
        _read(body)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"The template does not give JSON: {_where(error)}. {HINT}") from None
    if size > LIMIT:
        raise FormatError(f"The template gives {size:,} bytes. Please let it give at most {LIMIT:,}.")


def _read(body: str) -> Any:
    return json.loads(body, parse_constant=_refuse)


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number there")


def _where(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        if not error.doc:
            return "it gives nothing"
        return f"{error.msg.removesuffix(' at')} in line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeEncodeError):
        return "it has half a character"
    return "it is too deeply nested" if isinstance(error, RecursionError) else str(error)

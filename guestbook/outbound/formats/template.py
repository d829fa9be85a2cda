"""The format `template`: the owner's own Jinja template makes the body, which must be JSON."""

import json
from collections.abc import Sequence
from typing import NoReturn

from guestbook.lib import clock, template_sandbox
from guestbook.outbound import event_catalogue
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.event_catalogue.event_type import SAMPLE_TIME
from guestbook.outbound.formats.format_input import FormatError, FormatInput

TEMPLATE_LIMIT = 60_000  # bytes of a body, whatever its characters; the sandbox counts those
UNTRIED = ("inbound.received", "ping")  # nobody knows what a source will forward; a ping has all parts
HINT = "For a text, write {{ comment.name|tojson }} without quotes around it."


def render(given: FormatInput) -> str:
    """Return the body. A template sees `event`, `timestamp`, `data`, and each part of the data by its name.

    A ping gets a sample of each part, so that the owner sees whether the receiver accepts such a body.
    """
    if not given.template:
        raise FormatError("The webhook has no template.")
    data = {**event_catalogue.sample_parts(), **given.data} if given.event == "ping" else given.data
    values = {**data, "event": given.event, "timestamp": clock.to_text(given.happened_at), "data": data}
    try:
        body = template_sandbox.render(given.template, values).text.strip()
    except template_sandbox.TemplateFault as error:
        raise FormatError(str(error)) from None
    _check(body)
    return body


def check(source: str, events: Sequence[str]) -> None:
    """Raise FormatError when this is not a template, or does not make JSON for one of the events."""
    try:
        template_sandbox.check(source)
    except template_sandbox.TemplateFault as error:
        raise FormatError(str(error)) from None
    for event in (one for one in events if one in EVENTS and one not in UNTRIED):
        try:
            render(FormatInput(event, SAMPLE_TIME, EVENTS[event].sample_data(), template=source))
        except FormatError as error:
            raise FormatError(f"For {event}: {error}") from None


def _check(body: str) -> None:
    try:
        size = len(body.encode())
        json.loads(body, parse_constant=_refuse, parse_int=float)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"The template does not give JSON: {_where(error)}. {HINT}") from None
    if size > TEMPLATE_LIMIT:
        raise FormatError(
            f"The template gives {size:,} bytes. Please let it give at most {TEMPLATE_LIMIT:,}."
        )


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"JSON has no number {word}")


def _where(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        if not error.doc:
            return "it gives nothing"
        return f"{error.msg.removesuffix(' at')} in line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeEncodeError):
        return "it has half a character"
    return "it is too deeply nested" if isinstance(error, RecursionError) else str(error)

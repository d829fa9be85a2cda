"""Each body in the format json that a test makes us store or send must fit the schema of its event.

It must have no other fields either, although receivers must accept them: else the catalogue would lack one.
What this process stores is looked at on its way into the database. What other processes have stored is looked
at when a receiver closes.
"""

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy import Engine, event

from guestbook.lib.json_schema import Schema
from guestbook.outbound.event_catalogue import EVENTS

BODY = b'{"type":"'  # how a body in the format json begins
OTHER_PARTS = {"timestamp", "data"}
OUR_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
KNOWN_LIMIT = 10_000  # bodies

OUR_FORMATS = FormatChecker(formats=())
OUR_FORMATS.checks("date-time")(lambda text: not isinstance(text, str) or bool(OUR_TIME.fullmatch(text)))
OUR_FORMATS.checks("uri", raises=ValueError)(lambda text: not isinstance(text, str) or is_url(text))

_found: list[str] = []
_known: set[bytes] = set()


def is_url(text: str) -> bool:
    """Whether it is the absolute address of a page, in the characters that addresses have."""
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc) and text.isascii() and " " not in text


def watch() -> None:
    """Look at all deliveries that this process stores from now on."""
    event.listen(Engine, "before_cursor_execute", _note_insert)


def note(bodies: Iterable[bytes]) -> None:
    """Look at bodies that were sent; those that are not in the format json are left out."""
    for body in bodies:
        if body.startswith(BODY) and body not in _known:
            if len(_known) < KNOWN_LIMIT:
                _known.add(body)
            _found.extend(faults(body))


def take_faults() -> list[str]:
    """Return what was wrong since the last call."""
    taken = list(_found)
    _found.clear()
    return taken


def faults(body: bytes | str) -> list[str]:
    """Return a sentence for each field of a body that does not fit the schema of its event."""
    found = json.loads(body)
    name = str(found.get("type"))
    if name not in EVENTS:
        return [f"{name}: the catalogue has no such event."] if set(found) >= OTHER_PARTS else []
    return [
        f"{name}: {'.'.join(map(str, error.absolute_path)) or 'the body'}: {error.message}"
        for error in _validator(name).iter_errors(found)
    ]


@cache
def _validator(name: str) -> Any:
    return Draft202012Validator(_closed(EVENTS[name].schema()), format_checker=OUR_FORMATS)


def _closed(schema: Schema) -> Schema:
    """Return the schema without a place for other fields."""
    closed = dict(schema)
    if "properties" in closed:
        closed["properties"] = {name: _closed(below) for name, below in closed["properties"].items()}
        closed["additionalProperties"] = False
    if "items" in closed:
        closed["items"] = _closed(closed["items"])
    return closed


def _note_insert(_on: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: Any) -> None:
    if statement.startswith("INSERT INTO deliveries"):
        rows: Sequence[dict[str, Any]] = getattr(context, "compiled_parameters", None) or ()
        note({str(row["payload"]).encode(errors="replace") for row in rows if row.get("payload")})

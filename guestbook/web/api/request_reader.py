"""The query and body of a request, checked against the OpenAPI document."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn

from flask import g, request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from guestbook.lib import fields, json_schema, signatures
from guestbook.lib.errors import Refused
from guestbook.lib.json_schema import Schema
from guestbook.outbound.webhook_fields import HEADER_NAME, HEADER_VALUE, SIGNING_KEY, VERSION_DATE
from guestbook.web.api import api_call

Rules = Callable[[dict[str, Any]], Mapping[str, str]]  # checks beyond the schema: field → sentence
Place = tuple[str | int, ...]  # the names and numbers that lead to a value in a body

MOST_DIGITS = 100  # of a number in a body
INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
RFC3339_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
NAMED_FIELDS_LIMIT = 5  # unknown fields that an error lists
SCHEMA_ERRORS = {
    "minLength": "This has {length:,} characters. Please use at least {wanted:,}.",
    "maxLength": "This has {length:,} characters. Please use at most {wanted:,}.",
    "minimum": "This must be at least {wanted}.",
    "maximum": "This must be at most {wanted}.",
    "format": "This must be a time such as 2026-01-31T23:59:59Z.",
    "minItems": "At least one is needed.",
    "maxItems": "At most {wanted} are allowed.",
    "uniqueItems": "Each may be listed only once.",
    "maxProperties": "At most {wanted} are allowed.",
    "minProperties": "At least one field is needed.",
}
PATTERN_ERRORS = {
    json_schema.ID_PATTERN: "This is not an id: an id has 32 characters, 0 to 9 and a to f.",
    SIGNING_KEY: f"The signing key must be {signatures.KEY_FORMS}.",
    VERSION_DATE: "{found!r} is not a version: a version is a date, such as 2026-12-01.",
    HEADER_NAME: "{found!r} is not a valid header name.",
    HEADER_VALUE: "The value of a header must consist of printable ASCII characters.",
}
# The functions that views call look for these too, and say in better words what is wrong.
LEFT_TO_VIEWS = {fields.VISIBLE}  # patterns
NUMBERS = (int, float)
PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    **{"string": str, "integer": int, "number": NUMBERS, "boolean": bool, "null": type(None)},
    **{"array": list, "object": dict},
}
RULES: dict[str, type | tuple[type, ...]] = {  # a rule of JSON Schema → the values that it is about
    **dict.fromkeys(("type", "enum"), object),
    **dict.fromkeys(("pattern", "format", "minLength", "maxLength"), str),
    **dict.fromkeys(("minimum", "maximum"), NUMBERS),
    **dict.fromkeys(("minItems", "maxItems", "uniqueItems"), list),
    **dict.fromkeys(("minProperties", "maxProperties"), dict),
}
# If something is larger, nothing else of it is checked.
SIZE_RULES = ("maxItems", "maxProperties")


def check() -> None:
    """Refuse unknown query parameters, and fields where the call takes none; views read the other bodies."""
    if request.method == "OPTIONS":
        return
    call, shapes = api_call.current(), api_call.current().query
    given: dict[str, Any] = {}
    for name, values in request.args.lists():
        if len(values) > 1:
            raise Refused("This may be given only once.", field=_short(name))
        is_number = shapes.get(name, {}).get("type") == "integer"
        given[name] = int(values[0]) if is_number and INTEGER.fullmatch(values[0]) else values[0]
    _check(given, {"type": "object", "properties": shapes, "additionalProperties": False})
    g.api_query = _completed(given, shapes)
    if call.body is None and request.method not in ("GET", "HEAD") and request.get_data():
        _object_in_body(json_schema.request({}))


def query() -> dict[str, Any]:
    """Return the query parameters, with defaults for missing ones; times are moments in UTC."""
    return dict(g.api_query)


def body(rules: Rules | None = None) -> dict[str, Any]:
    """Return the object in the body, with defaults for missing fields; times are moments in UTC.

    Errors of the schema are reported together with those that `rules` find in the other fields.
    """
    call = api_call.current()
    schema = api_call.subject().schemas[call.body or ""]
    is_missing = not call.needs_body and not request.get_data()
    return _completed({} if is_missing else _object_in_body(schema, rules), schema["properties"])


def _completed(given: dict[str, Any], shapes: Schema) -> dict[str, Any]:
    defaults = {name: shape["default"] for name, shape in shapes.items() if "default" in shape}
    times = {name for name in given if shapes[name].get("format") == "date-time"}
    return defaults | given | {name: _moment(given[name]) for name in times}


def _moment(text: str) -> datetime:
    """Return the time of a valid text in UTC; the first or last one for a time that UTC cannot have."""
    found = datetime.fromisoformat(text.upper())
    try:
        return found.astimezone(UTC)
    except OverflowError:
        return (datetime.min if found.year == 1 else datetime.max).replace(tzinfo=UTC)


def _object_in_body(schema: Schema, rules: Rules | None = None) -> dict[str, Any]:
    if request.mimetype != json_schema.JSON:
        raise UnsupportedMediaType("Send JSON with the header Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body uncompressed, without the header Content-Encoding.")
    try:
        found = _parse(request.get_data())
        _check(found, schema)
    except RecursionError:  # from parsing, or from comparing the items of a list
        raise BadRequest("The body nests lists or objects too deeply.") from None
    except Refused as error:
        if rules is None or not error.fields or not isinstance(found, dict):
            raise
        fitting = schema["properties"].keys() - error.fields.keys()
        rest = {name: value for name, value in found.items() if name in fitting}
        raise Refused.of({**rules(rest), **error.fields}) from None
    assert isinstance(found, dict)
    return found


def _parse(sent: bytes) -> object:
    try:
        hooks: Any = {"parse_constant": _no_constant, "parse_float": _number, "parse_int": _whole_number}
        return json.loads(sent.decode("utf-8-sig"), object_pairs_hook=_object, **hooks)
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8: byte {error.start + 1:,} is wrong.") from None
    except ValueError as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same name twice")
    return found


def _number(text: str) -> float:
    """Read 10.0 and 1e1 as the whole number 10, as JSON Schema does."""
    found = float(text)
    return int(found) if found.is_integer() else found


def _whole_number(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number has {len(text):,} digits")
    return int(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _check(value: object, schema: Schema) -> None:
    """Raise Refused with a sentence for each field that does not fit the schema."""
    wrong: dict[str, str] = {}
    for place, sentence in _faults(value, schema, ()):
        if not place:
            raise Refused(sentence)
        inner = next((part for part in place[:0:-1] if isinstance(part, str)), "")
        wrong.setdefault(_short(str(place[0])), f"{_short(inner)}: {sentence}" if inner else sentence)
    if wrong:
        raise Refused.of(wrong)


def _faults(found: Any, schema: Schema, place: Place) -> Iterator[tuple[Place, str]]:
    """Give the place of each fault with a sentence; an empty place means the whole value."""
    for rule, wanted in schema.items():
        if isinstance(found, RULES.get(rule, ())) and not _fits(rule, found, wanted):
            yield place, _sentence(rule, wanted, found)
            if rule in SIZE_RULES:
                return
    if isinstance(found, list) and "items" in schema:
        for number, item in enumerate(found):
            yield from _faults(item, schema["items"], (*place, number))
    if isinstance(found, dict) and "object" in json_schema.types(schema):
        yield from _faults_of_object(found, schema, place)


def _faults_of_object(found: dict[str, Any], schema: Schema, place: Place) -> Iterator[tuple[Place, str]]:
    known, others = schema.get("properties", {}), schema["additionalProperties"]
    for name, value in found.items():
        yield from _faults(name, schema.get("propertyNames", {}), place)
        if name in known or others:
            yield from _faults(value, known.get(name, others), (*place, name))
    strange = [] if others else [name for name in found if name not in known]
    fields = f"The fields are {', '.join(known)}." if known else "This call takes none."
    for name in strange[:NAMED_FIELDS_LIMIT]:
        what = f"field {_short(name)}" if place else "such field"
        yield place or (name,), f"There is no {what}. {fields}"
    missing = [name for name in schema.get("required", ()) if name not in found]
    if missing and place:
        yield place, f"{', '.join(missing)} is missing."
    else:
        yield from (((name,), "This is missing.") for name in missing)


def _fits(rule: str, found: Any, wanted: Any) -> bool:
    if rule == "type":  # In Python, True and False are numbers.
        kinds = json_schema.types({"type": wanted})
        if isinstance(found, bool):
            return "boolean" in kinds
        return any(isinstance(found, PYTHON_TYPES[kind]) for kind in kinds)
    if rule == "enum":
        return found in wanted
    if rule == "pattern":  # As in JSON Schema, `$` does not match before a final line feed.
        return wanted in LEFT_TO_VIEWS or bool(re.fullmatch(wanted.removesuffix("$"), found))
    if rule == "format":
        return wanted != "date-time" or _is_moment(found)
    if rule == "uniqueItems":
        return len({json.dumps(item, sort_keys=True) for item in found}) == len(found)
    size = found if isinstance(found, NUMBERS) else len(found)
    return bool(size >= wanted if rule.startswith("min") else size <= wanted)


def _is_moment(text: str) -> bool:
    try:
        return bool(RFC3339_TIME.fullmatch(text) and _moment(text))
    except ValueError:
        return False


def _sentence(rule: str, wanted: Any, found: Any) -> str:
    if rule == "type":
        kinds = json_schema.types({"type": wanted})
        return f"This must be {' or '.join(json_schema.TYPE_NAMES[kind] for kind in kinds)}."
    if rule == "enum":
        return f"This must be one of {', '.join(map(str, wanted))}."
    if rule == "pattern":
        return PATTERN_ERRORS[wanted].format(found=found[:80])
    if rule == "minLength" and not found:
        return "This must not be empty."
    length = len(found) if isinstance(found, str) else 0
    return SCHEMA_ERRORS[rule].format(wanted=wanted, length=length)


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:60]}…"


@contextmanager
def renamed(names: Mapping[str, str]) -> Iterator[None]:
    """Raise a Refused again with these names of fields; one for several has the first sentence."""
    try:
        yield
    except Refused as error:
        fields: dict[str, str] = {}
        for name, sentence in error.fields.items():
            other = names.get(name, name)
            is_within = list(names.values()).count(other) > 1
            fields.setdefault(other, f"{name}: {sentence}" if is_within else sentence)
        raise (Refused.of(fields) if fields else error) from None

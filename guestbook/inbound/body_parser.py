"""Parse a body: bytes to plain values, JSON-like, a form or text. Pure."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from werkzeug.http import parse_options_header

from guestbook.lib import body_encoding, byte_view
from guestbook.lib.body_encoding import MULTIPART, NotMultipart, PackedWrongly, TooManyParts
from guestbook.lib.byte_view import View

UNPACKED_LIMIT = 4_000_000  # bytes of a body after unpacking
DEPTH_LIMIT = 64  # levels of nested lists and objects
INTEGER_DIGITS_LIMIT = 100
MOST_FIELDS = 1000  # fields of a form
# Four megabytes of short values or escapes would need up to 300 MB of memory; a normal body has fewer.
MOST_VALUES = 700_000  # counted by commas, colons and brackets, also those in texts
MOST_ESCAPES = 200_000  # escapes in a form, such as %20
TOO_MANY_FIELDS = f"The form has more than {MOST_FIELDS:,} fields."

# Half an emoji, where a sender has cut a text. No database stores it, so it becomes U+FFFD.
HALF = re.compile("[\ud800-\udfff]")
MAY_HOLD_HALVES = re.compile(r"\\u[dD][89a-fA-F]")


class BodyError(Exception):
    """The reason why a body cannot be read, in one sentence for the owner."""


def parse(headers: Mapping[str, str], body: bytes) -> object:
    """Read JSON, a form or text, by `content-type` and by its looks; raises only BodyError."""
    content = unpacked(headers.get("content-encoding", ""), body)
    content_type = headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return _form_with_files(content, content_type)
    text = _text(content, content_type)
    if kind.endswith(("/json", "+json")):
        return _json(text)
    if _looks_like_json(text):  # curl -d claims to send a form, and Amazon's SNS plain text
        try:
            return _json(text)
        except BodyError:
            pass
    return _form(text, content_type) if kind == "application/x-www-form-urlencoded" else text


def unpacked(encoding: str, body: bytes) -> bytes:
    """Return the body unpacked, by its `content-encoding`; raises BodyError."""
    unpacked = beginning(encoding, body, UNPACKED_LIMIT + 1)
    if len(unpacked) > UNPACKED_LIMIT and unpacked is not body:
        raise BodyError(f"The body unpacks to more than {UNPACKED_LIMIT:,} bytes.")
    return unpacked


def beginning(encoding: str, body: bytes, most: int) -> bytes:
    """Unpack at most so many bytes; an uncompressed body comes back whole. Raises BodyError."""
    try:
        return body_encoding.unpacked_beginning(encoding, body, most)
    except PackedWrongly as error:
        raise BodyError(str(error)) from None


def views(headers: Mapping[str, str], body: bytes) -> list[View]:
    """Return each way to read a body on a page, unpacked if it was compressed."""
    try:
        shown = beginning(headers.get("content-encoding", ""), body, byte_view.READ_BYTES + 1)
    except BodyError:
        shown = body
    return byte_view.views(shown, headers.get("content-type", ""))


def _text(body: bytes, content_type: str) -> str:
    """Decode UTF-8, whatever is named. Other bytes are in the encoding that the sender names."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        encoding = body_encoding.named_encoding(content_type)
        if encoding not in (None, "utf-8"):
            return body.decode(encoding, "replace")
        raise BodyError(f"The body is not UTF-8: byte {error.start + 1:,} is wrong.") from None


def _looks_like_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _json(text: str) -> object:
    if not text.strip():
        raise BodyError("The body is empty, although its content type is JSON.")
    if sum(map(text.count, ",:[{")) > MOST_VALUES:
        raise BodyError(f"The body holds more than {MOST_VALUES:,} values.")
    try:
        value = json.loads(text, parse_int=_whole_number, parse_float=_number, parse_constant=_no_constant)
        if _depth(value) > DEPTH_LIMIT:
            raise RecursionError
    except json.JSONDecodeError as error:
        where = f"line {error.lineno:,}, column {error.colno:,}"
        raise BodyError(f"The body is not valid JSON: {where}: {error.msg}.") from None
    except RecursionError:
        raise BodyError(f"The body is nested more than {DEPTH_LIMIT} deep.") from None
    return _without_halves(value) if MAY_HOLD_HALVES.search(text) else value


def _form(text: str, content_type: str) -> object:
    if text.count("%") > MOST_ESCAPES:
        raise BodyError(f"The form has more than {MOST_ESCAPES:,} escaped characters, such as %20.")
    try:
        pairs = _pairs(text, "utf-8", "strict")
    except UnicodeDecodeError:
        pairs = _pairs(text, body_encoding.named_encoding(content_type) or "utf-8", "replace")
    except ValueError:
        raise BodyError(TOO_MANY_FIELDS) from None
    return _values(pairs)


def _pairs(text: str, encoding: str, errors: str) -> list[tuple[str, str]]:
    return parse_qsl(
        text, keep_blank_values=True, max_num_fields=MOST_FIELDS, encoding=encoding, errors=errors
    )


def _form_with_files(body: bytes, content_type: str) -> object:
    """Return what `_form` does. The files are left out."""
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    try:
        parts = body_encoding.form_parts(body, boundary, MOST_FIELDS)
    except TooManyParts:
        raise BodyError(TOO_MANY_FIELDS) from None
    except NotMultipart:
        raise BodyError("The body is not the form that its content type names, or it is cut off.") from None
    return _values((part.name, part.text) for part in parts if part.filename is None)


def _values(fields: Iterable[tuple[str, str]]) -> object:
    """Return name → last value, or the JSON in `payload` that GitHub and Slack send."""
    values = dict(fields)
    payload = values.get("payload", "")
    return _json(payload) if _looks_like_json(payload) else values


def _whole_number(digits: str) -> int:
    if len(digits) > INTEGER_DIGITS_LIMIT:
        raise BodyError(f"The body holds a number of {len(digits):,} digits.")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise BodyError("The body holds a number that is too large.")
    return number


def _no_constant(name: str) -> NoReturn:
    raise BodyError(f"The body holds {name}, which is not a number in JSON.")


def _depth(value: object) -> int:
    """Count the levels one at a time, because recursion could run out of stack."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        if depth > DEPTH_LIMIT:
            break
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def _without_halves(value: Any) -> Any:
    if isinstance(value, str):
        return HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_halves(one) for one in value]
    if isinstance(value, dict):
        return {_without_halves(key): _without_halves(one) for key, one in value.items()}
    return value

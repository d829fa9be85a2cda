"""From the bytes that came to a plain value: what JSON can hold, or a text. Pure."""

import json
import math
import re
import zlib
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

UNPACKED_LIMIT = 4_000_000  # bytes that a compressed body may have
DEPTH_LIMIT = 64  # of lists and objects in each other
MOST_DIGITS = 100  # of a whole number
MOST_FIELDS = 1000  # of a form
# Four megabytes of short values or escapes would take up to 300 of memory. One has no more than this.
MOST_VALUES = 700_000  # as commas, colons and brackets tell, of which some may stand in texts
MOST_ESCAPES = 200_000  # of a form, such as %20

# A text that was cut in the middle of an emoji. That is no reason to lose the event, so the half becomes
# U+FFFD: no database takes it as it is.
HALF = re.compile("[\ud800-\udfff]")
MAY_HOLD_HALVES = re.compile(r"\\u[dD][89a-fA-F]")
# Some send deflate without zlib's header.
WINDOW_BITS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}


class BodyFault(Exception):
    """Why a body cannot be read, in one sentence for the owner."""


def parse(headers: Mapping[str, str], body: bytes) -> object:
    """Read JSON, a form or text, as `content-type` says and as it looks; raises BodyFault alone."""
    text = _text(unpacked(headers.get("content-encoding", ""), body))
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.endswith(("/json", "+json")):
        return _json(text)
    if _looks_like_json(text):  # curl -d says that it sends a form, Amazon's SNS that it sends plain text
        try:
            return _json(text)
        except BodyFault:
            pass
    return _form(text) if kind == "application/x-www-form-urlencoded" else text


def unpacked(encoding: str, body: bytes) -> bytes:
    """Return the body as it was before it was compressed, as `content-encoding` says; raises BodyFault."""
    unpacked = beginning(encoding, body, UNPACKED_LIMIT + 1)
    if len(unpacked) > UNPACKED_LIMIT and unpacked is not body:
        raise BodyFault(f"The body unpacks to more than {UNPACKED_LIMIT:,} bytes.")
    return unpacked


def beginning(encoding: str, body: bytes, most: int) -> bytes:
    """Unpack no more than so many bytes, whatever follows; what was not compressed comes back whole."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in WINDOW_BITS:
        raise BodyFault("The body is compressed in a way that is not known here: gzip and deflate are.")
    for bits in WINDOW_BITS[encoding]:
        unpacker = zlib.decompressobj(bits)
        try:
            unpacked = unpacker.decompress(body, most)
        except zlib.error:
            continue
        if len(unpacked) == most or (unpacker.eof and not unpacker.unused_data):
            return unpacked
    raise BodyFault(f"The body says that it is compressed with {encoding}, and cannot be unpacked.")


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BodyFault(f"The body is not UTF-8: byte {error.start + 1:,} fits nothing.") from None


def _looks_like_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _json(text: str) -> object:
    if not text.strip():
        raise BodyFault("The body is empty, although it says that it is JSON.")
    if sum(map(text.count, ",:[{")) > MOST_VALUES:
        raise BodyFault(f"The body holds more than {MOST_VALUES:,} values.")
    try:
        value = json.loads(text, parse_int=_whole_number, parse_float=_number, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno:,}, column {error.colno:,}"
        raise BodyFault(f"The body is not valid JSON: {where}: {error.msg}.") from None
    except RecursionError:
        raise _too_deep() from None
    if _depth(value) > DEPTH_LIMIT:
        raise _too_deep()
    return _without_halves(value) if MAY_HOLD_HALVES.search(text) else value


def _form(text: str) -> object:
    """Return name → text, the last of a name; or the JSON in `payload`, which GitHub and Slack send."""
    if text.count("%") > MOST_ESCAPES:
        raise BodyFault(f"The form has more than {MOST_ESCAPES:,} characters that are written as %20 is.")
    try:
        fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise BodyFault(f"The form has more than {MOST_FIELDS:,} fields.") from None
    payload = fields.get("payload", "")
    return _json(payload) if _looks_like_json(payload) else fields


def _whole_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise BodyFault(f"The body holds a number of {len(digits):,} digits.")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise BodyFault("The body holds a number that is too large.")
    return number


def _no_constant(name: str) -> NoReturn:
    raise BodyFault(f"The body holds {name}, which is no number in JSON.")


def _too_deep() -> BodyFault:
    return BodyFault(f"The body is nested more than {DEPTH_LIMIT} deep.")


def _depth(value: object) -> int:
    """Count the levels, a level at a time: a call for each level could not be counted on to come back."""
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

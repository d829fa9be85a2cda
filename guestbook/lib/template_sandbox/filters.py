"""The filters of templates: Jinja's, as far as each can be kept from growing without a limit."""

import json
import math
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from guestbook.lib.template_sandbox import list_filters, methods, operations
from guestbook.lib.template_sandbox.methods import Running
from guestbook.lib.template_sandbox.step_budget import Missing, TemplateFault

MOST_PLACES = 15  # to which is rounded
NUMERAL_LIMIT = 40  # characters of a text that is read as a number
IN_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;"})
IN_SCRIPTS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"}  # as Jinja's own filter has it
WORD = re.compile(r"\w+")
WORD_START = re.compile(r"([-\s({\[<]+)")


def _float(_run: Running, value: Any, default: Any = 0.0) -> Any:
    try:
        return float(_numeral(value))
    except (TypeError, ValueError, OverflowError):
        return default


def _int(_run: Running, value: Any, default: Any = 0, base: int = 10) -> Any:
    numeral = _numeral(value)
    try:
        return int(numeral, base) if isinstance(numeral, str) else int(numeral)
    except (TypeError, ValueError, OverflowError):
        pass
    try:
        return operations.number(int(float(numeral)))
    except (TypeError, ValueError, OverflowError):
        return default


def _numeral(value: Any) -> Any:
    """Return a number, or a text that is short enough to be read as one."""
    if isinstance(value, int | float):
        return operations.number(value)
    return value if isinstance(value, str) and len(value) <= NUMERAL_LIMIT else None


def _length(_run: Running, value: Any) -> int:
    if isinstance(value, Missing):
        return 0
    if not isinstance(value, str | list | dict):
        raise TemplateFault(f"The template takes the length of {operations.kind(value)}.")
    return len(value)


def _changed(name: str) -> Callable[[Running, Any], str]:
    return lambda run, value: run.budget.made(getattr(run.budget.text(value), name)())


def _title(run: Running, value: Any) -> str:
    words = WORD_START.split(run.budget.made(run.budget.text(value)))
    return run.budget.made("".join(word[0].upper() + word[1:].lower() for word in words if word))


def _replace(run: Running, value: Any, old: Any, new: Any, count: int = -1) -> str:
    text, old, new = run.budget.text(value), run.budget.text(old), run.budget.text(new)
    run.budget.search(text, old)
    times = text.count(old) if count < 0 else min(count, text.count(old))
    run.budget.room(len(text) + times * max(0, len(new) - len(old)))
    return text.replace(old, new, count)


def _round(_run: Running, value: Any, precision: int = 0, method: str = "common") -> Any:
    places = operations.number(precision)
    if abs(places) > MOST_PLACES:
        raise TemplateFault(
            f"The template rounds to {places} places. Please let it round to at most {MOST_PLACES}."
        )
    if method == "common":
        return round(operations.number(value), places)
    if method not in ("ceil", "floor"):
        raise TemplateFault("The template rounds in a way that is none of common, ceil and floor.")
    rounded = math.ceil if method == "ceil" else math.floor
    return rounded(operations.number(value) * 10**places) / 10**places


def _striptags(run: Running, value: Any) -> str:
    before, *tags = run.budget.made(run.budget.text(value)).split("<")
    run.budget.spend(len(tags))
    rest = "".join(tag.partition(">")[2] if ">" in tag else f"<{tag}" for tag in tags)
    return " ".join((before + rest).split())


def _tojson(run: Running, value: Any) -> str:
    run.budget.room(run.budget.weigh(value))
    if isinstance(value, Missing):
        raise value.fault()
    made = json.dumps(value, sort_keys=True)
    for sign, escaped in IN_SCRIPTS.items():
        made = made.replace(sign, escaped)
    return run.budget.made(made)


def _truncate(
    run: Running, value: Any, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5
) -> str:
    text = run.budget.text(value)
    if len(text) <= length + leeway:
        return text
    kept = operations.cut(run.budget, text, slice(max(0, length - len(end))))
    return run.budget.made((kept if killwords else kept.rsplit(" ", 1)[0]) + end)


def _urlencode(run: Running, value: Any) -> str:
    if not isinstance(value, dict):
        return _quoted(run, value)
    pairs = list_filters.items(run, value)
    return list_filters.join(run, [f"{_quoted(run, key)}={_quoted(run, one)}" for key, one in pairs], "&")


def _quoted(run: Running, value: Any) -> str:
    return run.budget.made(quote(run.budget.made(run.budget.text(value)), safe="/"))


FILTERS: dict[str, Callable[..., Any]] = {
    **list_filters.LIST_FILTERS,
    **{name: _changed(name) for name in ("capitalize", "lower", "upper")},
    "abs": lambda _run, value: abs(operations.number(value)),
    "count": _length,
    **dict.fromkeys(
        ("e", "escape"), lambda run, value: run.budget.made(run.budget.text(value).translate(IN_HTML))
    ),
    "float": _float,
    "int": _int,
    "length": _length,
    "replace": _replace,
    "round": _round,
    "string": lambda run, value: run.budget.text(value),
    "striptags": _striptags,
    "title": _title,
    "tojson": _tojson,
    "trim": lambda run, value, chars=None: methods.call(run, "strip", run.budget.text(value), chars),
    "truncate": _truncate,
    "urlencode": _urlencode,
    "wordcount": lambda run, value: sum(1 for _ in WORD.finditer(run.budget.made(run.budget.text(value)))),
}

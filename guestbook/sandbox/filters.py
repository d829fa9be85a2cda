"""The filters of templates: Jinja's, as far as each can be kept from growing without a limit."""

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from guestbook.sandbox import methods, operations
from guestbook.sandbox.budget import Missing, TemplateFault
from guestbook.sandbox.methods import Running
from guestbook.sandbox.operations import members

MOST_PLACES = 15  # to which is rounded
NUMERAL_LIMIT = 40  # characters of a text that is read as a number
IN_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;"})
IN_SCRIPTS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"}  # as Jinja's own filter has it
WORD = re.compile(r"\w+")
WORD_START = re.compile(r"([-\s({\[<]+)")
COMPARISONS = 20  # that sorting makes of an item, at the most: the logarithm of how many there can be


def _abs(_run: Running, value: Any) -> Any:
    return abs(operations.number(value))


def _default(_run: Running, value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if isinstance(value, Missing) or (boolean and not value) else value


def _dictsort(
    run: Running, value: Any, case_sensitive: bool = False, by: str = "key", reverse: bool = False
) -> list[Any]:
    return _sort(run, _items(run, value), reverse, case_sensitive, 1 if by == "value" else 0)


def _items(run: Running, value: Any) -> list[Any]:
    if isinstance(value, Missing):
        return []
    if not isinstance(value, dict):
        raise TemplateFault(f"The template takes the items of {operations.kind(value)}.")
    return methods.items(run, value)


def _escape(run: Running, value: Any) -> str:
    return run.budget.made(_text(run, value).translate(IN_HTML))


def _first(_run: Running, value: Any) -> Any:
    if isinstance(value, dict):
        return next(iter(value), Missing("the first item"))
    return operations.lookup(value, 0) if value else Missing("the first item")


def _last(_run: Running, value: Any) -> Any:
    if isinstance(value, dict):
        return next(reversed(value), Missing("the last item"))
    return operations.lookup(value, -1) if value else Missing("the last item")


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


def _join(run: Running, value: Any, d: Any = "", attribute: Any = None) -> str:
    texts = [_text(run, one) for one in _picked(run, value, attribute)]
    between = _text(run, d)
    run.budget.room(sum(map(len, texts)) + len(between) * max(0, len(texts) - 1))
    return between.join(texts)


def _length(_run: Running, value: Any) -> int:
    if isinstance(value, Missing):
        return 0
    if not isinstance(value, str | list | dict):
        raise TemplateFault(f"The template takes the length of {operations.kind(value)}.")
    return len(value)


def _list(run: Running, value: Any) -> list[Any]:
    return list(members(run.budget, value))


def _lower(run: Running, value: Any) -> str:
    return run.budget.made(_text(run, value).lower())


def _upper(run: Running, value: Any) -> str:
    return run.budget.made(_text(run, value).upper())


def _capitalize(run: Running, value: Any) -> str:
    return run.budget.made(_text(run, value).capitalize())


def _title(run: Running, value: Any) -> str:
    words = WORD_START.split(run.budget.made(_text(run, value)))
    return run.budget.made("".join(word[0].upper() + word[1:].lower() for word in words if word))


def _map(
    run: Running, value: Any, name: Any = None, *arguments: Any, attribute: Any = None, default: Any = None
) -> list[Any]:
    if name is not None:
        return [run.filtered(name, one, *arguments) for one in members(run.budget, value)]
    found = _picked(run, value, attribute)
    return found if default is None else [_default(run, one, default) for one in found]


def _max(run: Running, value: Any, case_sensitive: bool = False, attribute: Any = None) -> Any:
    ordered = _sort(run, value, False, case_sensitive, attribute)
    return ordered[-1] if ordered else Missing("the greatest item")


def _min(run: Running, value: Any, case_sensitive: bool = False, attribute: Any = None) -> Any:
    ordered = _sort(run, value, False, case_sensitive, attribute)
    return ordered[0] if ordered else Missing("the least item")


def _select(run: Running, value: Any, test: Any = None, *arguments: Any) -> list[Any]:
    return [one for one in members(run.budget, value) if run.holds(test, one, *arguments)]


def _reject(run: Running, value: Any, test: Any = None, *arguments: Any) -> list[Any]:
    return [one for one in members(run.budget, value) if not run.holds(test, one, *arguments)]


def _selectattr(run: Running, value: Any, attribute: Any, test: Any = None, *arguments: Any) -> list[Any]:
    pairs = zip(members(run.budget, value), _picked(run, value, attribute), strict=True)
    return [one for one, part in pairs if run.holds(test, part, *arguments)]


def _rejectattr(run: Running, value: Any, attribute: Any, test: Any = None, *arguments: Any) -> list[Any]:
    pairs = zip(members(run.budget, value), _picked(run, value, attribute), strict=True)
    return [one for one, part in pairs if not run.holds(test, part, *arguments)]


def _replace(run: Running, value: Any, old: Any, new: Any, count: int = -1) -> str:
    text, old, new = _text(run, value), _text(run, old), _text(run, new)
    run.budget.search(text, old)
    times = text.count(old) if count < 0 else min(count, text.count(old))
    run.budget.room(len(text) + times * max(0, len(new) - len(old)))
    return text.replace(old, new, count)


def _reverse(run: Running, value: Any) -> Any:
    if isinstance(value, str):
        return run.budget.made(value[::-1])
    return members(run.budget, value)[::-1]


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


def _sort(
    run: Running, value: Any, reverse: bool = False, case_sensitive: bool = False, attribute: Any = None
) -> list[Any]:
    """Sort texts, or numbers: nothing in which more would have to be compared."""
    keys = [_sort_key(run, one, case_sensitive) for one in _picked(run, value, attribute)]
    run.budget.spend(COMPARISONS * (len(keys) + sum(map(len, _texts(keys))) // 200))
    if len({isinstance(key, str) for key in keys}) > 1:
        raise TemplateFault("The template sorts texts and numbers together.")
    order = sorted(range(len(keys)), key=keys.__getitem__, reverse=bool(reverse))
    found = members(run.budget, value)
    return [found[number] for number in order]


def _sort_key(run: Running, value: Any, case_sensitive: bool) -> Any:
    if isinstance(value, str):
        return value if case_sensitive else run.budget.made(value.lower())
    if isinstance(value, Missing):
        raise value.fault()
    return operations.number(value)


def _texts(values: list[Any]) -> Iterator[str]:
    return (value for value in values if isinstance(value, str))


def _striptags(run: Running, value: Any) -> str:
    before, *tags = run.budget.made(_text(run, value)).split("<")
    run.budget.spend(len(tags))
    rest = "".join(tag.partition(">")[2] if ">" in tag else f"<{tag}" for tag in tags)
    return " ".join((before + rest).split())


def _sum(run: Running, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    total = operations.number(start)
    for one in _picked(run, value, attribute):
        total = operations.compute(run.budget, "+", total, one)
        operations.number(total)
    return total


def _tojson(run: Running, value: Any) -> str:
    run.budget.room(run.budget.weigh(value))
    if isinstance(value, Missing):
        raise value.fault()
    made = json.dumps(value, sort_keys=True)
    for sign, escaped in IN_SCRIPTS.items():
        made = made.replace(sign, escaped)
    return run.budget.made(made)


def _trim(run: Running, value: Any, chars: str | None = None) -> Any:
    return methods.call(run, "strip", _text(run, value), chars)


def _truncate(
    run: Running, value: Any, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5
) -> str:
    text = _text(run, value)
    if len(text) <= length + leeway:
        return text
    kept = operations.cut(run.budget, text, slice(max(0, length - len(end))))
    return run.budget.made((kept if killwords else kept.rsplit(" ", 1)[0]) + end)


def _unique(run: Running, value: Any, case_sensitive: bool = False, attribute: Any = None) -> list[Any]:
    """Compare as texts: numbers can be chosen so that Python's sets become slow, texts cannot."""
    seen: dict[str, Any] = {}
    parts = _picked(run, value, attribute)
    for one, part in zip(members(run.budget, value), parts, strict=True):
        text = run.budget.made(_text(run, part)) if case_sensitive else _lower(run, part)
        seen.setdefault(f"{isinstance(part, str)} {text}", one)
    return list(seen.values())


def _urlencode(run: Running, value: Any) -> str:
    if isinstance(value, dict):
        pairs = [f"{_urlencode(run, key)}={_urlencode(run, one)}" for key, one in _items(run, value)]
        return _join(run, pairs, "&")
    return run.budget.made(quote(run.budget.made(_text(run, value)), safe="/"))


def _wordcount(run: Running, value: Any) -> int:
    return sum(1 for _ in WORD.finditer(run.budget.made(_text(run, value))))


def _picked(run: Running, value: Any, attribute: Any) -> list[Any]:
    """Return what is gone through, or that part of each."""
    found = members(run.budget, value)
    return found if attribute is None else [operations.path(one, attribute) for one in found]


def _text(run: Running, value: Any) -> str:
    return run.budget.text(value)


FILTERS: dict[str, Callable[..., Any]] = {
    "abs": _abs,
    "capitalize": _capitalize,
    "count": _length,
    "d": _default,
    "default": _default,
    "dictsort": _dictsort,
    "e": _escape,
    "escape": _escape,
    "first": _first,
    "float": _float,
    "int": _int,
    "items": _items,
    "join": _join,
    "last": _last,
    "length": _length,
    "list": _list,
    "lower": _lower,
    "map": _map,
    "max": _max,
    "min": _min,
    "reject": _reject,
    "rejectattr": _rejectattr,
    "replace": _replace,
    "reverse": _reverse,
    "round": _round,
    "select": _select,
    "selectattr": _selectattr,
    "sort": _sort,
    "string": _text,
    "striptags": _striptags,
    "sum": _sum,
    "title": _title,
    "tojson": _tojson,
    "trim": _trim,
    "truncate": _truncate,
    "unique": _unique,
    "upper": _upper,
    "urlencode": _urlencode,
    "wordcount": _wordcount,
}

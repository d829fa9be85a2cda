"""The filters, methods and tests of templates: those of Jinja and Python that ready-made templates need.

Each pays its steps first. None pads, repeats or changes a value.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from guestbook.lib.template_sandbox import values
from guestbook.lib.template_sandbox.values import Missing, StepBudget, TemplateFault

STRIPPED_LIMIT = 50  # characters that are taken from the ends of a text
IN_SCRIPTS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"}  # as Jinja's own filter has it


def call(budget: StepBudget, name: str, value: Any, *arguments: Any, **named: Any) -> Any:
    """Return what a method of a value gives."""
    if isinstance(value, Missing):
        raise value.fault()
    if not isinstance(value, dict if name in ("get", "items") else str):
        raise TemplateFault(f"The template calls {name}() on {values.kind(value)}.")
    return METHODS[name](budget, value, *arguments, **named)


def _default(_budget: StepBudget, value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if isinstance(value, Missing) or (boolean and not value) else value


def _at_end(place: int, name: str, _budget: StepBudget, value: Any) -> Any:
    if isinstance(value, dict):
        return next(reversed(value) if place else iter(value), Missing(name))
    return values.lookup(value, place) if value else Missing(name)


def _join(budget: StepBudget, value: Any, d: Any = "") -> str:
    texts = [budget.text(one) for one in values.members(budget, value)]
    between = budget.text(d)
    budget.room(sum(map(len, texts)) + len(between) * max(0, len(texts) - 1))
    return between.join(texts)


def _length(_budget: StepBudget, value: Any) -> int:
    if isinstance(value, Missing):
        return 0
    if not isinstance(value, str | list | dict):
        raise TemplateFault(f"The template takes the length of {values.kind(value)}.")
    return len(value)


def _changed(name: str, budget: StepBudget, value: Any) -> str:
    return budget.made(getattr(budget.made(budget.text(value)), name)())


def _replace(budget: StepBudget, value: Any, old: Any, new: Any) -> str:
    text, old, new = budget.text(value), budget.text(old), budget.text(new)
    budget.search(text, old)
    budget.room(len(text) + text.count(old) * max(0, len(new) - len(old)))
    return text.replace(old, new)


def _strip(budget: StepBudget, value: Any, chars: str | None = None) -> str:
    if chars is not None and len(chars) > STRIPPED_LIMIT:
        raise TemplateFault(f"strip() takes at most {STRIPPED_LIMIT} characters.")
    text = budget.text(value)
    budget.read(len(text) * (len(chars or "") + 1))
    return budget.made(text.strip(chars))


def _tojson(budget: StepBudget, value: Any) -> str:
    budget.room(budget.weigh(value))
    if isinstance(value, Missing):
        raise value.fault()
    made = json.dumps(value, sort_keys=True)
    for sign, escaped in IN_SCRIPTS.items():
        made = made.replace(sign, escaped)
    return budget.made(made)


def _truncate(
    budget: StepBudget,
    value: Any,
    length: int = 255,
    killwords: bool = False,
    end: str = "...",
    leeway: int = 5,
) -> str:
    text = budget.text(value)
    if len(text) <= length + leeway:
        return text
    kept = values.cut(budget, text, slice(max(0, length - len(end))))
    return budget.made((kept if killwords else kept.rsplit(" ", 1)[0]) + end)


def _stands_at_end(name: str, budget: StepBudget, value: str, part: str | list[str]) -> bool:
    parts = part if isinstance(part, list) else [part]
    budget.spend(len(parts))
    return any(getattr(value, name)(one) for one in parts)


def _split(budget: StepBudget, value: str, sep: str | None = None, maxsplit: int = -1) -> list[str]:
    if sep is None:
        budget.spend(len(value) // 4)
    else:
        budget.search(value, sep)
        budget.spend(value.count(sep) if sep else 0)
    return value.split(sep, maxsplit)


def _splitlines(budget: StepBudget, value: str) -> list[str]:
    budget.spend(len(value) // 8)
    lines = value.splitlines()
    budget.spend(len(lines))
    return lines


def _get(_budget: StepBudget, value: dict[str, Any], key: Any, default: Any = None) -> Any:
    found = values.lookup(value, key)
    return default if isinstance(found, Missing) else found


def _items(budget: StepBudget, value: dict[str, Any]) -> list[Any]:
    budget.spend(2 * len(value))
    return [[key, one] for key, one in value.items()]


def _is(*kinds: type) -> Callable[[StepBudget, Any], bool]:
    return lambda _budget, value: isinstance(value, kinds)


FILTERS: dict[str, Callable[..., Any]] = {
    "d": _default,
    "default": _default,
    "first": partial(_at_end, 0, "the first item"),
    "join": _join,
    "last": partial(_at_end, -1, "the last item"),
    "length": _length,
    "lower": partial(_changed, "lower"),
    "replace": _replace,
    "string": lambda budget, value: budget.text(value),
    "tojson": _tojson,
    "trim": _strip,
    "truncate": _truncate,
    "upper": partial(_changed, "upper"),
}
METHODS: dict[str, Callable[..., Any]] = {
    "endswith": partial(_stands_at_end, "endswith"),
    "get": _get,
    "items": _items,
    "lower": partial(_changed, "lower"),
    "split": _split,
    "splitlines": _splitlines,
    "startswith": partial(_stands_at_end, "startswith"),
    "strip": _strip,
    "upper": partial(_changed, "upper"),
}
TESTS: dict[str, Callable[[StepBudget, Any], bool]] = {
    "boolean": _is(bool),
    "defined": lambda _budget, value: not isinstance(value, Missing),
    "integer": lambda _budget, value: isinstance(value, int) and not isinstance(value, bool),
    "mapping": _is(dict),
    "none": _is(type(None)),
    "number": _is(int, float),
    "sequence": _is(str, list, dict),
    "string": _is(str),
    "undefined": _is(Missing),
}

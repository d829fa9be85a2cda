"""What templates do with values: look up, compare, compute, filter, test. Each pays its steps first.

Values are plain: dicts, lists, texts, numbers, and Missing for what the event does not have. The filters,
methods and tests are those of Jinja and Python that ready-made templates need. None pads or repeats a text.
"""

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from jinja2.utils import htmlsafe_json_dumps

TEMPLATE_STEPS = 100_000  # a run has one for each evaluated part of the template and each item read
OUTPUT_LIMIT = 64_000  # characters of its output, and of any text that it makes
PER_STEP = 20  # characters that are read or made in one step
SLOW_SEARCH = 30_000  # characters: in longer texts Python searches in another way, which is always quick
PAIRS_PER_STEP = 4000  # characters that are compared with one another in one step
VALUE_DEPTH = 50  # lists in lists that are printed or compared
BITS = 64  # in a whole number that it counts with
STRIPPED_LIMIT = 50  # characters that are taken from the ends of a text


class TemplateFault(Exception):
    """Why a template cannot be used, or failed over this event, in one sentence."""


class Missing:
    """A value that the event does not have. It prints as nothing and counts as false."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "Undefined"

    def fault(self) -> TemplateFault:
        """Return what is wrong with a template that goes on with it."""
        missing = f"{self.name[:100]!r} is undefined"
        return TemplateFault(f"The template asks for what this event does not have: {missing}.")


class StepBudget:
    """The steps that a run has left."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = TEMPLATE_STEPS

    def spend(self, steps: int) -> None:
        """Take so many steps; raises TemplateFault when there are too few."""
        self.left -= steps
        if self.left < 0:
            too_many = f"more than {TEMPLATE_STEPS:,} steps"
            raise TemplateFault(f"The template does too much with this event: {too_many}.")

    def read(self, characters: int) -> None:
        """Read so many characters."""
        self.spend(characters // PER_STEP)

    def search(self, whole: str, part: str) -> None:
        """Look for a text in a text: Python may compare each letter of the one with each of the other."""
        self.read(len(whole))
        self.spend(min(len(whole), SLOW_SEARCH) * min(len(part), len(whole)) // PAIRS_PER_STEP)

    def room(self, characters: int, whole: int = 0) -> None:
        """Make a text of so many characters, as a part of a whole of so many."""
        if max(characters, whole) > OUTPUT_LIMIT:
            raise TemplateFault(f"The template makes more than {OUTPUT_LIMIT:,} characters.")
        self.read(characters)

    def made(self, text: str) -> str:
        """Return a text that was made, where it could not be much longer than what was read."""
        self.room(len(text))
        return text

    def weigh(self, value: Any) -> int:
        """Read a value with all that is in it, as often as it is in it; return how many characters it has."""
        characters, todo = 0, [(value, 0)]
        while todo:
            one, depth = todo.pop()
            # A whole number has about so many digits, and a list two characters besides what is in it.
            digits = one.bit_length() // 3 + 1 if isinstance(one, int) else 2
            length = len(one) if isinstance(one, str) else digits
            self.spend(1 + length // PER_STEP)
            characters += length
            if isinstance(one, list | dict):
                if depth == VALUE_DEPTH:
                    deep = f"more than {VALUE_DEPTH} deep"
                    raise TemplateFault(f"The template prints or compares lists {deep}.")
                self.spend(len(one))
                parts = [*one, *one.values()] if isinstance(one, dict) else one
                todo += [(part, depth + 1) for part in parts]
        return characters

    def text(self, value: Any) -> str:
        """Return a value as it is printed."""
        if isinstance(value, str):
            return value
        if isinstance(value, Missing):
            return ""
        self.room(self.weigh(value))
        return self.made(str(value))


def lookup(value: Any, key: Any) -> Any:
    """Return a part of a dict, a list or a text, or what is missing."""
    if isinstance(value, Missing):
        raise value.fault()
    if isinstance(value, dict) and isinstance(key, str) and key in value:
        return value[key]
    if isinstance(key, str) and key.startswith("__"):
        raise TemplateFault("The template asks for what templates cannot reach.")
    if isinstance(value, list | str) and isinstance(key, int) and -len(value) <= key < len(value):
        return value[key]
    return Missing(str(key) if isinstance(key, str | bool | float) else "an item")


def cut(budget: StepBudget, value: Any, part: slice) -> Any:
    """Return a slice of a list or a text."""
    if not isinstance(value, list | str):
        raise TemplateFault(f"The template takes a slice of {kind(value)}.")
    length = len(range(*part.indices(len(value))))
    if isinstance(value, str):
        budget.room(length)
    else:
        budget.spend(length)
    return value[part]


def members(budget: StepBudget, value: Any) -> list[Any]:
    """Return what a loop goes through."""
    if isinstance(value, Missing):
        return []
    if not isinstance(value, list | dict | str):
        raise TemplateFault(f"The template goes through {kind(value)} as if it were a list.")
    budget.spend(len(value))
    return value if isinstance(value, list) else list(value)


def loop(found: Sequence[Any], number: int) -> dict[str, Any]:
    """Return what a template knows of the loop that it is in."""
    count = len(found)
    return {
        "index": number + 1,
        "index0": number,
        "revindex": count - number,
        "revindex0": count - number - 1,
        "first": number == 0,
        "last": number == count - 1,
        "length": count,
        "previtem": found[number - 1] if number else Missing("loop.previtem"),
        "nextitem": found[number + 1] if number + 1 < count else Missing("loop.nextitem"),
    }


def equal(budget: StepBudget, left: Any, right: Any) -> bool:
    """Whether two values are equal."""
    if isinstance(left, Missing) or isinstance(right, Missing):
        return isinstance(left, Missing) and isinstance(right, Missing)
    if isinstance(left, str) and isinstance(right, str):
        if len(left) != len(right):
            return False
        budget.read(len(left))
    elif isinstance(left, list | dict) and type(left) is type(right):
        budget.weigh(left)
        budget.weigh(right)
    return bool(left == right)


def less(budget: StepBudget, left: Any, right: Any) -> bool:
    """Whether a number or a text comes before another."""
    if isinstance(left, str) and isinstance(right, str):
        budget.read(min(len(left), len(right)))
    elif not _are_numbers(left, right):
        raise TemplateFault(f"The template asks which is greater, {kind(left)} or {kind(right)}.")
    return bool(left < right)


def within(budget: StepBudget, part: Any, whole: Any) -> bool:
    """Whether a text, a list or the keys of a dict hold it."""
    if isinstance(whole, str):
        if not isinstance(part, str):
            raise TemplateFault(f"The template looks for {kind(part)} in a text.")
        budget.search(whole, part)
        return part in whole
    if isinstance(whole, dict):
        return isinstance(part, str) and part in whole
    return any(equal(budget, part, one) for one in members(budget, whole))


def compute(budget: StepBudget, sign: str, left: Any, right: Any) -> Any:
    """Return a sum, a product and so on, of which none grows without a limit."""
    if sign == "+" and isinstance(left, str) and isinstance(right, str):
        budget.room(len(left) + len(right))
        return left + right
    for value in (left, right):
        if isinstance(value, Missing):
            raise value.fault()
    if not _are_numbers(left, right):
        raise TemplateFault(f"The template computes {kind(left)} {sign} {kind(right)}.")
    return number(_SIGNS[sign](number(left), number(right)))


def number(value: Any) -> Any:
    """Return a number that is no longer than it may be."""
    if not isinstance(value, int | float):
        raise TemplateFault(f"The template computes with {kind(value)} as if it were a number.")
    if isinstance(value, int) and value.bit_length() > BITS:
        raise TemplateFault("The template makes too large a number.")
    return value


def kind(value: Any) -> str:
    """Return what kind of value that is, in words."""
    if value is None:
        return "nothing (none)"
    names = {bool: "true or false", str: "a text", list: "a list", dict: "an object"}
    names |= {int: "a number", float: "a number", Missing: "what is undefined"}
    return names[type(value)]


def _are_numbers(left: Any, right: Any) -> bool:
    return isinstance(left, int | float) and isinstance(right, int | float)


COMPARE: dict[str, Callable[[StepBudget, Any, Any], bool]] = {
    "eq": equal,
    "ne": lambda budget, left, right: not equal(budget, left, right),
    "lt": less,
    "lteq": lambda budget, left, right: not less(budget, right, left),
    "gt": lambda budget, left, right: less(budget, right, left),
    "gteq": lambda budget, left, right: not less(budget, left, right),
    "in": within,
    "notin": lambda budget, left, right: not within(budget, left, right),
}
_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    **{"+": operator.add, "-": operator.sub, "*": operator.mul},
    **{"/": operator.truediv, "//": operator.floordiv, "%": operator.mod},
}


def call(budget: StepBudget, name: str, value: Any, *arguments: Any, **named: Any) -> Any:
    """Return what a method of a value gives."""
    if isinstance(value, Missing):
        raise value.fault()
    if not isinstance(value, dict if name in ("get", "items") else str):
        raise TemplateFault(f"The template calls {name}() on {kind(value)}.")
    return METHODS[name](budget, value, *arguments, **named)


def _default(_budget: StepBudget, value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if isinstance(value, Missing) or (boolean and not value) else value


def _at_end(place: int, name: str, _budget: StepBudget, value: Any) -> Any:
    if isinstance(value, dict):
        return next(reversed(value) if place else iter(value), Missing(name))
    return lookup(value, place) if value else Missing(name)


def _join(budget: StepBudget, value: Any, d: Any = "") -> str:
    texts = [budget.text(one) for one in members(budget, value)]
    between = budget.text(d)
    budget.room(sum(map(len, texts)) + len(between) * max(0, len(texts) - 1))
    return between.join(texts)


def _length(_budget: StepBudget, value: Any) -> int:
    if isinstance(value, Missing):
        return 0
    if not isinstance(value, str | list | dict):
        raise TemplateFault(f"The template takes the length of {kind(value)}.")
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
    return budget.made(str(htmlsafe_json_dumps(value, sort_keys=True)))


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
    kept = cut(budget, text, slice(max(0, length - len(end))))
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
    found = lookup(value, key)
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

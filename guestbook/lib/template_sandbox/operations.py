"""The operations on values in templates: look up, loop, compare, compute. Each pays its steps first."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from guestbook.lib.template_sandbox.step_budget import BITS, Missing, StepBudget, TemplateFault

PLACE = re.compile("[0-9]{1,9}")  # in a list
POWER_DIGITS = 100  # of a power


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
    name = str(key) if isinstance(key, str | bool | float) else "an item"
    return Missing(name)


def path(value: Any, where: Any) -> Any:
    """Return what `a.0.b` of a value is."""
    for part in where.split(".") if isinstance(where, str) else [where]:
        value = lookup(value, int(part) if isinstance(part, str) and PLACE.fullmatch(part) else part)
    return value


def cut(budget: StepBudget, value: Any, part: slice) -> Any:
    """Return a slice of a list or a text."""
    if isinstance(value, list):
        budget.spend(len(range(*part.indices(len(value)))))
        return value[part]
    if not isinstance(value, str):
        raise TemplateFault(f"The template takes a slice of {kind(value)}.")
    budget.room(len(range(*part.indices(len(value)))))
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
    if sign == "+" and isinstance(left, list) and isinstance(right, list):
        budget.spend(len(left) + len(right))
        return left + right
    if sign == "*" and isinstance(left, str | list) != isinstance(right, str | list):
        return _repeat(budget, left, right)
    if not _are_numbers(left, right):
        for value in (left, right):
            if isinstance(value, Missing):
                raise value.fault()
        raise TemplateFault(f"The template computes {kind(left)} {sign} {kind(right)}.")
    if sign == "**" and (abs(right) > POWER_DIGITS or abs(left) > 10**9):
        raise TemplateFault("The template makes too large a number.")
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


def _repeat(budget: StepBudget, left: Any, right: Any) -> Any:
    one, times = (left, right) if isinstance(left, str | list) else (right, left)
    if not isinstance(times, int):
        raise TemplateFault(f"The template repeats {kind(one)} as often as {kind(times)} says.")
    length = len(one) * max(0, times)
    if isinstance(one, str):
        budget.room(length)
    else:
        budget.spend(length)
    return one * times if length else one[:0]


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
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "//": lambda left, right: left // right,
    "%": lambda left, right: left % right,
    "**": lambda left, right: left**right,
}

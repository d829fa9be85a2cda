"""The tests that a template may ask: `x is defined`, `name is string`."""

from collections.abc import Callable
from typing import Any

from guestbook.lib.template_sandbox import operations
from guestbook.lib.template_sandbox.methods import Running
from guestbook.lib.template_sandbox.step_budget import Missing


def _is(*kinds: type) -> Callable[[Running, Any], bool]:
    return lambda _run, value: isinstance(value, kinds)


def _is_number(_run: Running, value: Any) -> bool:
    return isinstance(value, int | float)


def _divisible(_run: Running, value: Any, by: Any) -> bool:
    return bool(operations.number(value) % operations.number(by) == 0)


def _equal(run: Running, value: Any, other: Any) -> bool:
    return operations.equal(run.budget, value, other)


def _less(run: Running, value: Any, other: Any) -> bool:
    return operations.less(run.budget, value, other)


def _greater(run: Running, value: Any, other: Any) -> bool:
    return operations.less(run.budget, other, value)


def _within(run: Running, value: Any, whole: Any) -> bool:
    return operations.within(run.budget, value, whole)


def _lower(run: Running, value: Any) -> bool:
    return run.budget.made(run.budget.text(value)).islower()


def _upper(run: Running, value: Any) -> bool:
    return run.budget.made(run.budget.text(value)).isupper()


Question = Callable[..., bool]
_SAME: dict[str, Question] = {
    "eq": _equal,
    "ne": lambda run, value, other: not _equal(run, value, other),
    "lt": _less,
    "gt": _greater,
    "le": lambda run, value, other: not _greater(run, value, other),
    "ge": lambda run, value, other: not _less(run, value, other),
}
TESTS: dict[str, Question] = {
    **_SAME,
    **{"==": _SAME["eq"], "equalto": _SAME["eq"], "sameas": _SAME["eq"], "!=": _SAME["ne"]},
    **{"<": _SAME["lt"], "lessthan": _SAME["lt"], ">": _SAME["gt"], "greaterthan": _SAME["gt"]},
    **{"<=": _SAME["le"], ">=": _SAME["ge"]},
    "in": _within,
    "defined": lambda _run, value: not isinstance(value, Missing),
    "undefined": _is(Missing),
    "none": lambda _run, value: value is None,
    "true": lambda _run, value: value is True,
    "false": lambda _run, value: value is False,
    "boolean": _is(bool),
    "integer": lambda _run, value: isinstance(value, int) and not isinstance(value, bool),
    "float": _is(float),
    "number": _is_number,
    "string": _is(str),
    "mapping": _is(dict),
    "sequence": _is(str, list, dict),
    "iterable": _is(str, list, dict, Missing),
    "lower": _lower,
    "upper": _upper,
    "odd": lambda _run, value: operations.number(value) % 2 == 1,
    "even": lambda _run, value: operations.number(value) % 2 == 0,
    "divisibleby": _divisible,
}

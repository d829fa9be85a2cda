"""The tests that a template may ask: `x is defined`, `name is string`."""

from collections.abc import Callable

from guestbook.lib.template_sandbox import operations
from guestbook.lib.template_sandbox.step_budget import Missing

Question = Callable[..., bool]
_NAMES = {  # of the comparisons
    "eq": ("eq", "==", "equalto", "sameas"),
    "ne": ("ne", "!="),
    "lt": ("lt", "<", "lessthan"),
    "gt": ("gt", ">", "greaterthan"),
    "lteq": ("le", "<="),
    "gteq": ("ge", ">="),
}


def _compares(sign: str) -> Question:
    compare = operations.COMPARE[sign]
    return lambda run, value, other: compare(run.budget, value, other)


def _is(*kinds: type) -> Question:
    return lambda _run, value: isinstance(value, kinds)


TESTS: dict[str, Question] = {
    **{name: _compares(sign) for sign, names in _NAMES.items() for name in names},
    "in": lambda run, value, whole: operations.within(run.budget, value, whole),
    "defined": lambda _run, value: not isinstance(value, Missing),
    "undefined": _is(Missing),
    "none": lambda _run, value: value is None,
    "true": lambda _run, value: value is True,
    "false": lambda _run, value: value is False,
    "boolean": _is(bool),
    "integer": lambda _run, value: isinstance(value, int) and not isinstance(value, bool),
    "float": _is(float),
    "number": _is(int, float),
    "string": _is(str),
    "mapping": _is(dict),
    "sequence": _is(str, list, dict),
    "iterable": _is(str, list, dict, Missing),
    "lower": lambda run, value: run.budget.made(run.budget.text(value)).islower(),
    "upper": lambda run, value: run.budget.made(run.budget.text(value)).isupper(),
    "odd": lambda _run, value: operations.number(value) % 2 == 1,
    "even": lambda _run, value: operations.number(value) % 2 == 0,
    "divisibleby": lambda _run, value, by: operations.number(value) % operations.number(by) == 0,
}

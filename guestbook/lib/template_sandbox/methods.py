"""The methods that a template may call, such as `text.strip()`. None pads, repeats or changes a value."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from guestbook.lib.template_sandbox import operations
from guestbook.lib.template_sandbox.step_budget import Missing, StepBudget, TemplateFault

MOST_CHARS = 50  # that are taken from the ends of a text


class Running(Protocol):
    """The parts of a run that methods, filters and tests need."""

    budget: StepBudget

    def filtered(self, name: Any, value: Any, *arguments: Any) -> Any:
        """Return what the filter of that name makes of a value."""

    def holds(self, name: Any, value: Any, *arguments: Any) -> bool:
        """Whether the test of that name holds for a value."""


def call(run: Running, name: str, value: Any, *arguments: Any, **named: Any) -> Any:
    """Return what a method of a value gives."""
    if isinstance(value, Missing):
        raise value.fault()
    wanted = dict if name in _OF_DICTS else str
    if not isinstance(value, wanted):
        raise TemplateFault(f"The template calls {name}() on {operations.kind(value)}.")
    return METHODS[name](run, value, *arguments, **named)


def _changed(name: str, run: Running, value: str) -> str:
    """Call a method that takes nothing and gives a text that is hardly longer."""
    run.budget.room(len(value))
    return run.budget.made(getattr(value, name)())


def _stripped(name: str, run: Running, value: str, chars: str | None = None) -> str:
    if chars is not None and len(chars) > MOST_CHARS:
        raise TemplateFault(f"{name}() takes at most {MOST_CHARS} characters.")
    run.budget.read(len(value) * (len(chars or "") + 1))
    return run.budget.made(getattr(value, name)(chars))


def _found(name: str, run: Running, value: str, part: str, *span: int) -> int:
    run.budget.search(value, part)
    found: int = getattr(value, name)(part, *span)
    return found


def _begins(name: str, run: Running, value: str, part: str | list[str]) -> bool:
    """Whether a text, or one of a list of texts, stands at an end of a text."""
    parts = part if isinstance(part, list) else [part]
    run.budget.spend(len(parts))
    return any(getattr(value, name)(one) for one in parts)


def _without(name: str, run: Running, value: str, part: str) -> str:
    return run.budget.made(getattr(value, name)(part))


def _split(run: Running, value: str, sep: str | None = None, maxsplit: int = -1) -> list[str]:
    if sep is None:
        run.budget.spend(len(value) // 4)
    else:
        run.budget.search(value, sep)
        run.budget.spend(value.count(sep) if sep else 0)
    return value.split(sep, maxsplit)


def _splitlines(run: Running, value: str, keepends: bool = False) -> list[str]:
    run.budget.spend(len(value) // 8)
    lines = value.splitlines(keepends)
    run.budget.spend(len(lines))
    return lines


def _get(_run: Running, value: dict[str, Any], key: Any, default: Any = None) -> Any:
    found = operations.lookup(value, key)
    return default if isinstance(found, Missing) else found


def _values(run: Running, value: dict[str, Any]) -> list[Any]:
    run.budget.spend(len(value))
    return list(value.values())


def items(run: Running, value: dict[str, Any]) -> list[Any]:
    """Return the pairs of a dict."""
    run.budget.spend(2 * len(value))
    return [[key, one] for key, one in value.items()]


METHODS: dict[str, Callable[..., Any]] = {
    **{name: partial(_changed, name) for name in ("capitalize", "lower", "title", "upper")},
    **{name: partial(_stripped, name) for name in ("lstrip", "rstrip", "strip")},
    **{name: partial(_found, name) for name in ("count", "find")},
    **{name: partial(_begins, name) for name in ("endswith", "startswith")},
    **{name: partial(_without, name) for name in ("removeprefix", "removesuffix")},
    "split": _split,
    "splitlines": _splitlines,
    "get": _get,
    "items": items,
    "keys": lambda run, value: operations.members(run.budget, value),
    "values": _values,
}
_OF_DICTS = ("get", "items", "keys", "values")

"""The filters that take a list or an object; each counts what it goes through."""

from collections.abc import Callable
from functools import partial
from typing import Any

from guestbook.lib.template_sandbox import methods, operations
from guestbook.lib.template_sandbox.methods import Running
from guestbook.lib.template_sandbox.operations import members
from guestbook.lib.template_sandbox.step_budget import Missing, TemplateFault

COMPARISONS = 20  # that sorting makes of an item, at the most: the logarithm of how many there can be


def _default(_run: Running, value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if isinstance(value, Missing) or (boolean and not value) else value


def _dictsort(
    run: Running, value: Any, case_sensitive: bool = False, by: str = "key", reverse: bool = False
) -> list[Any]:
    return _sort(run, items(run, value), reverse, case_sensitive, 1 if by == "value" else 0)


def items(run: Running, value: Any) -> list[Any]:
    """Return the pairs of an object."""
    if isinstance(value, Missing):
        return []
    if not isinstance(value, dict):
        raise TemplateFault(f"The template takes the items of {operations.kind(value)}.")
    return methods.items(run, value)


def join(run: Running, value: Any, d: Any = "", attribute: Any = None) -> str:
    """Return the texts of a list, or of a part of each, as one text."""
    texts = [run.budget.text(one) for one in _picked(run, value, attribute)]
    between = run.budget.text(d)
    run.budget.room(sum(map(len, texts)) + len(between) * max(0, len(texts) - 1))
    return between.join(texts)


def _at_end(value: Any, place: int, name: str) -> Any:
    if isinstance(value, dict):
        return next(reversed(value) if place else iter(value), Missing(name))
    return operations.lookup(value, place) if value else Missing(name)


def _map(
    run: Running, value: Any, name: Any = None, *arguments: Any, attribute: Any = None, default: Any = None
) -> list[Any]:
    if name is not None:
        return [run.filtered(name, one, *arguments) for one in members(run.budget, value)]
    found = _picked(run, value, attribute)
    return found if default is None else [_default(run, one, default) for one in found]


def _extreme(
    place: int, name: str, run: Running, value: Any, case_sensitive: bool = False, attribute: Any = None
) -> Any:
    ordered = _sort(run, value, False, case_sensitive, attribute)
    return ordered[place] if ordered else Missing(name)


def _reverse(run: Running, value: Any) -> Any:
    if isinstance(value, str):
        return run.budget.made(value[::-1])
    return members(run.budget, value)[::-1]


def _select(wanted: bool, run: Running, value: Any, test: Any = None, *arguments: Any) -> list[Any]:
    return [one for one in members(run.budget, value) if run.holds(test, one, *arguments) is wanted]


def _selectattr(
    wanted: bool, run: Running, value: Any, attribute: Any, test: Any = None, *arguments: Any
) -> list[Any]:
    pairs = zip(members(run.budget, value), _picked(run, value, attribute), strict=True)
    return [one for one, part in pairs if run.holds(test, part, *arguments) is wanted]


def _sort(
    run: Running, value: Any, reverse: bool = False, case_sensitive: bool = False, attribute: Any = None
) -> list[Any]:
    """Sort texts, or numbers: nothing in which more would have to be compared."""
    keys = [_sort_key(run, one, case_sensitive) for one in _picked(run, value, attribute)]
    letters = sum(len(key) for key in keys if isinstance(key, str))
    run.budget.spend(COMPARISONS * (len(keys) + letters // 200))
    if len({isinstance(key, str) for key in keys}) > 1:
        raise TemplateFault("The template sorts texts and numbers together.")
    order = sorted(range(len(keys)), key=keys.__getitem__, reverse=bool(reverse))
    found = members(run.budget, value)
    return [found[number] for number in order]


def _sum(run: Running, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    total = operations.number(start)
    for one in _picked(run, value, attribute):
        total = operations.compute(run.budget, "+", total, one)
        operations.number(total)
    return total


def _unique(run: Running, value: Any, case_sensitive: bool = False, attribute: Any = None) -> list[Any]:
    """Compare as texts: numbers can be chosen so that Python's sets become slow, texts cannot."""
    seen: dict[str, Any] = {}
    parts = _picked(run, value, attribute)
    for one, part in zip(members(run.budget, value), parts, strict=True):
        text = run.budget.text(part)
        text = run.budget.made(text if case_sensitive else text.lower())
        seen.setdefault(f"{isinstance(part, str)} {text}", one)
    return list(seen.values())


def _sort_key(run: Running, value: Any, case_sensitive: bool) -> Any:
    if isinstance(value, str):
        return value if case_sensitive else run.budget.made(value.lower())
    if isinstance(value, Missing):
        raise value.fault()
    return operations.number(value)


def _picked(run: Running, value: Any, attribute: Any) -> list[Any]:
    """Return what is gone through, or that part of each."""
    found = members(run.budget, value)
    return found if attribute is None else [operations.path(one, attribute) for one in found]


LIST_FILTERS: dict[str, Callable[..., Any]] = {
    "d": _default,
    "default": _default,
    "dictsort": _dictsort,
    "first": lambda _run, value: _at_end(value, 0, "the first item"),
    "items": items,
    "join": join,
    "last": lambda _run, value: _at_end(value, -1, "the last item"),
    "list": lambda run, value: list(members(run.budget, value)),
    "map": _map,
    "max": partial(_extreme, -1, "the greatest item"),
    "min": partial(_extreme, 0, "the least item"),
    "reject": partial(_select, False),
    "rejectattr": partial(_selectattr, False),
    "reverse": _reverse,
    "select": partial(_select, True),
    "selectattr": partial(_selectattr, True),
    "sort": _sort,
    "sum": _sum,
    "unique": _unique,
}

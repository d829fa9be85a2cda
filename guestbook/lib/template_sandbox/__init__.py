"""Run an owner's template over what a stranger sent: it reaches nothing but that, and it ends. Pure.

The language is a part of Jinja's: Jinja parses the template, `template_parser` refuses what is missing here,
and `Run` does what the tree says, step by step. `values` counts steps and characters before anything is done,
so no template takes long or needs much memory, whatever its event holds. A deadline cannot do that: it does
not stop a call into C.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import nodes

from guestbook.lib.template_sandbox import functions, template_parser, values
from guestbook.lib.template_sandbox.template_parser import SOURCE_LIMIT
from guestbook.lib.template_sandbox.values import (
    OUTPUT_LIMIT,
    TEMPLATE_STEPS,
    Missing,
    StepBudget,
    TemplateFault,
)

__all__ = ["OUTPUT_LIMIT", "SOURCE_LIMIT", "TEMPLATE_STEPS", "Rendered", "TemplateFault", "check", "render"]

# Each event of a source has the same template, so the last ones are kept as they were read.
_read = lru_cache(16)(template_parser.read)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The output of a template: its text, and the names that it has `set` at its top level."""

    text: str
    names: Mapping[str, Any]
    steps: int  # how many of TEMPLATE_STEPS it took


def check(source: str) -> None:
    """Raise TemplateFault when this is no template."""
    _read(source)


def render(source: str, event: Mapping[str, Any]) -> Rendered:
    """Run a template over plain values (dicts, lists, texts, numbers); raises TemplateFault."""
    template = _read(source)
    run = Run(event)
    try:
        text = run.template(template)
    except TemplateFault:
        raise
    except (RecursionError, MemoryError):
        raise TemplateFault("The template is too deeply nested.") from None
    except Exception as error:  # whatever Python says of a value that an operation was not made for
        said = str(error).strip().rstrip(".")[:200]
        raise TemplateFault(f"The template failed: {said or type(error).__name__}.") from None
    return Rendered(text, run.names(), TEMPLATE_STEPS - run.budget.left)


class Run:
    """One run of a template over an event."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self.budget = StepBudget()
        self._scopes: list[dict[str, Any]] = [dict(event), {}]  # a loop adds one
        self._parts: list[str] = []
        self._length = 0

    def template(self, template: nodes.Template) -> str:
        """Return the text that it gives."""
        self._do(template.body)
        return "".join(self._parts)

    def names(self) -> dict[str, Any]:
        """Return what was `set` at the top."""
        return {name: value for name, value in self._scopes[1].items() if not name.startswith("_")}

    # Statements

    def _do(self, statements: Sequence[nodes.Node]) -> None:
        for statement in statements:
            self.budget.spend(1)
            _STATEMENTS[type(statement)](self, statement)

    def _output(self, node: nodes.Output) -> None:
        for part in node.nodes:
            text = part.data if isinstance(part, nodes.TemplateData) else self.budget.text(self._value(part))
            self._length += len(text)
            self.budget.limit(self._length)
            self.budget.read(len(text))
            self._parts.append(text)

    def _if(self, node: nodes.If) -> None:
        for branch in (node, *node.elif_):
            if self._value(branch.test):
                return self._do(branch.body)
        return self._do(node.else_)

    def _for(self, node: nodes.For) -> None:
        found = self._chosen(node, values.members(self.budget, self._value(node.iter)))
        for number, value in enumerate(found):
            with self._scope():
                self._set(node.target, value)
                self._scopes[-1]["loop"] = values.loop(found, number)
                self._do(node.body)
        if not found:
            self._do(node.else_)

    def _chosen(self, node: nodes.For, found: list[Any]) -> list[Any]:
        """Return the items of `for … in … if`."""
        if node.test is None:
            return found
        chosen = []
        for value in found:
            with self._scope():
                self._set(node.target, value)
                if self._value(node.test):
                    chosen.append(value)
        return chosen

    def _assign(self, node: nodes.Assign) -> None:
        self._set(node.target, self._value(node.node))

    def _set(self, target: nodes.Node, value: Any) -> None:
        if isinstance(target, nodes.Name):
            self._scopes[-1][target.name] = value
            return
        assert isinstance(target, nodes.Tuple)
        parts = values.members(self.budget, value)
        if len(parts) != len(target.items):
            raise TemplateFault(f"The template unpacks {len(parts):,} values into {len(target.items)} names.")
        for name, part in zip(target.items, parts, strict=True):
            self._set(name, part)

    @contextmanager
    def _scope(self) -> Iterator[None]:
        self._scopes.append({})
        yield
        self._scopes.pop()

    # Expressions

    def _value(self, node: nodes.Node) -> Any:
        self.budget.spend(1)
        return _EXPRESSIONS[type(node)](self, node)

    def _values(self, some: Sequence[nodes.Node]) -> list[Any]:
        return [self._value(one) for one in some]

    def _name(self, node: nodes.Name) -> Any:
        for scope in reversed(self._scopes):
            if node.name in scope:
                return scope[node.name]
        return Missing(node.name)

    def _dict(self, node: nodes.Dict) -> dict[str, Any]:
        made = {}
        for pair in node.items:
            key = self._value(pair.key)
            if not isinstance(key, str):
                raise TemplateFault(f"The template names a part of an object by {values.kind(key)}.")
            made[key] = self._value(pair.value)
        return made

    def _getitem(self, node: nodes.Getitem) -> Any:
        value = self._value(node.node)
        if not isinstance(node.arg, nodes.Slice):
            return values.lookup(value, self._value(node.arg))
        ends = [self._value(one) if one else None for one in (node.arg.start, node.arg.stop, node.arg.step)]
        return values.cut(self.budget, value, slice(*ends))

    def _call(self, node: nodes.Call) -> Any:
        assert isinstance(node.node, nodes.Getattr)
        value = self._value(node.node.node)
        name = node.node.attr
        return functions.call(self.budget, name, value, *self._values(node.args), **self._named(node))

    def _named(self, node: nodes.Call | nodes.Filter) -> dict[str, Any]:
        return {str(pair.key): self._value(pair.value) for pair in node.kwargs}

    def _filter(self, node: nodes.Filter) -> Any:
        assert node.node is not None
        value = self._value(node.node)
        apply = functions.FILTERS[node.name]
        return apply(self.budget, value, *self._values(node.args), **self._named(node))

    def _compare(self, node: nodes.Compare) -> bool:
        left = self._value(node.expr)
        for operand in node.ops:
            right = self._value(operand.expr)
            if not values.COMPARE[operand.op](self.budget, left, right):
                return False
            left = right
        return True

    def _choice(self, node: nodes.CondExpr) -> Any:
        if self._value(node.test):
            return self._value(node.expr1)
        return self._value(node.expr2) if node.expr2 else Missing("the part after else")

    def _concat(self, node: nodes.Concat) -> str:
        texts = [self.budget.text(value) for value in self._values(node.nodes)]
        self.budget.room(sum(map(len, texts)))
        return "".join(texts)

    def _computed(self, node: nodes.BinExpr) -> Any:
        return values.compute(self.budget, node.operator, self._value(node.left), self._value(node.right))


_STATEMENTS: dict[type[nodes.Node], Callable[[Run, Any], None]] = {
    nodes.Output: Run._output,
    nodes.If: Run._if,
    nodes.For: Run._for,
    nodes.Assign: Run._assign,
}
_EXPRESSIONS: dict[type[nodes.Node], Callable[[Run, Any], Any]] = {
    nodes.Const: lambda _run, node: node.value,
    nodes.Name: Run._name,
    nodes.List: lambda run, node: run._values(node.items),
    nodes.Tuple: lambda run, node: run._values(node.items),
    nodes.Dict: Run._dict,
    nodes.Getattr: lambda run, node: values.lookup(run._value(node.node), node.attr),
    nodes.Getitem: Run._getitem,
    nodes.Call: Run._call,
    nodes.Filter: Run._filter,
    nodes.Test: lambda run, node: functions.TESTS[node.name](run.budget, run._value(node.node)),
    nodes.Compare: Run._compare,
    nodes.And: lambda run, node: run._value(node.left) and run._value(node.right),
    nodes.Or: lambda run, node: run._value(node.left) or run._value(node.right),
    nodes.Not: lambda run, node: not run._value(node.node),
    nodes.Neg: lambda run, node: -values.number(run._value(node.node)),
    nodes.CondExpr: Run._choice,
    nodes.Concat: Run._concat,
    **dict.fromkeys((nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod), Run._computed),
}

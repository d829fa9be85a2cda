"""Do what a template's tree says, over plain values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from jinja2 import nodes

from guestbook.lib.template_sandbox import methods, operations
from guestbook.lib.template_sandbox.filters import FILTERS
from guestbook.lib.template_sandbox.step_budget import Missing, StepBudget, TemplateFault
from guestbook.lib.template_sandbox.template_tests import TESTS


class Run:
    """One run of a template over an event."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.budget = StepBudget()
        self._scopes: list[dict[str, Any]] = [dict(values), {}]  # a loop adds one
        self._parts: list[str] = []
        self._length = 0

    def template(self, template: nodes.Template) -> str:
        """Return the text that it gives."""
        return self._captured(template.body)

    def names(self) -> dict[str, Any]:
        """Return what was `set` at the top."""
        return {name: value for name, value in self._scopes[1].items() if not name.startswith("_")}

    def filtered(self, name: Any, value: Any, *arguments: Any) -> Any:
        """Return what the filter of that name makes of a value."""
        if name not in FILTERS:
            raise TemplateFault(f"Templates have no filter {str(name)[:50]!r}.")
        self.budget.spend(1)
        return FILTERS[name](self, value, *arguments)

    def holds(self, name: Any, value: Any, *arguments: Any) -> bool:
        """Whether the test of that name holds for a value; without a name, whether it counts as true."""
        if name is None:
            return bool(value)
        if name not in TESTS:
            raise TemplateFault(f"Templates have no test {str(name)[:50]!r}.")
        self.budget.spend(1)
        return bool(TESTS[name](self, value, *arguments))

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
        found = self._chosen(node, operations.members(self.budget, self._value(node.iter)))
        for number, value in enumerate(found):
            with self._scope():
                self._set(node.target, value)
                self._scopes[-1]["loop"] = operations.loop(found, number)
                self._do(node.body)
        if not found:
            self._do(node.else_)

    def _chosen(self, node: nodes.For, found: list[Any]) -> list[Any]:
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

    def _assign_block(self, node: nodes.AssignBlock) -> None:
        with self._scope():
            text: Any = self._captured(node.body)
        self._set(node.target, text if node.filter is None else self._filter(node.filter, text))

    def _with(self, node: nodes.With) -> None:
        values = [self._value(value) for value in node.values]
        with self._scope():
            for target, value in zip(node.targets, values, strict=True):
                self._set(target, value)
            self._do(node.body)

    def _set(self, target: nodes.Node, value: Any) -> None:
        if isinstance(target, nodes.Name):
            self._scopes[-1][target.name] = value
            return
        assert isinstance(target, nodes.Tuple)
        parts = operations.members(self.budget, value)
        if len(parts) != len(target.items):
            raise TemplateFault(f"The template unpacks {len(parts):,} values into {len(target.items)} names.")
        for name, part in zip(target.items, parts, strict=True):
            self._set(name, part)

    @contextmanager
    def _scope(self) -> Iterator[None]:
        self._scopes.append({})
        yield
        self._scopes.pop()

    def _captured(self, body: Sequence[nodes.Node]) -> str:
        before = self._parts, self._length
        self._parts, self._length = [], 0
        self._do(body)
        text = "".join(self._parts)
        self._parts, self._length = before
        return text

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
                raise TemplateFault(f"The template names a part of an object by {operations.kind(key)}.")
            made[key] = self._value(pair.value)
        return made

    def _getitem(self, node: nodes.Getitem) -> Any:
        value = self._value(node.node)
        if not isinstance(node.arg, nodes.Slice):
            return operations.lookup(value, self._value(node.arg))
        ends = [self._value(one) if one else None for one in (node.arg.start, node.arg.stop, node.arg.step)]
        return operations.cut(self.budget, value, slice(*ends))

    def _call(self, node: nodes.Call) -> Any:
        assert isinstance(node.node, nodes.Getattr)
        value = self._value(node.node.node)
        return methods.call(self, node.node.attr, value, *self._values(node.args), **self._named(node))

    def _named(self, node: nodes.Call | nodes.Filter | nodes.Test) -> dict[str, Any]:
        return {str(pair.key): self._value(pair.value) for pair in node.kwargs}

    def _filter(self, node: nodes.Filter, text: str | None = None) -> Any:
        value = self._value(node.node) if node.node else text
        return FILTERS[node.name](self, value, *self._values(node.args), **self._named(node))

    def _test(self, node: nodes.Test) -> bool:
        value = self._value(node.node)
        return TESTS[node.name](self, value, *self._values(node.args), **self._named(node))

    def _compare(self, node: nodes.Compare) -> bool:
        left = self._value(node.expr)
        for operand in node.ops:
            right = self._value(operand.expr)
            if not operations.COMPARE[operand.op](self.budget, left, right):
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
        return operations.compute(self.budget, node.operator, self._value(node.left), self._value(node.right))


_STATEMENTS: dict[type[nodes.Node], Callable[[Run, Any], None]] = {
    nodes.Output: Run._output,
    nodes.If: Run._if,
    nodes.For: Run._for,
    nodes.Assign: Run._assign,
    nodes.AssignBlock: Run._assign_block,
    nodes.With: Run._with,
}
_EXPRESSIONS: dict[type[nodes.Node], Callable[[Run, Any], Any]] = {
    nodes.Const: lambda _run, node: node.value,
    nodes.Name: Run._name,
    nodes.List: lambda run, node: run._values(node.items),
    nodes.Tuple: lambda run, node: run._values(node.items),
    nodes.Dict: Run._dict,
    nodes.Getattr: lambda run, node: operations.lookup(run._value(node.node), node.attr),
    nodes.Getitem: Run._getitem,
    nodes.Call: Run._call,
    nodes.Filter: Run._filter,
    nodes.Test: Run._test,
    nodes.Compare: Run._compare,
    nodes.And: lambda run, node: run._value(node.left) and run._value(node.right),
    nodes.Or: lambda run, node: run._value(node.left) or run._value(node.right),
    nodes.Not: lambda run, node: not run._value(node.node),
    nodes.Neg: lambda run, node: -operations.number(run._value(node.node)),
    nodes.Pos: lambda run, node: operations.number(run._value(node.node)),
    nodes.CondExpr: Run._choice,
    nodes.Concat: Run._concat,
    **dict.fromkeys(
        (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow), Run._computed
    ),
}

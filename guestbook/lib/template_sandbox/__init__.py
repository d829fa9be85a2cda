"""Run an owner's template over what a stranger sent: it reaches nothing but that, and it ends. Pure.

The language is a part of Jinja's: Jinja parses the template, `parse` refuses what is missing here, and `Run`
does what the tree says, step by step. `values` counts steps and characters before anything is done, so no
template takes long or needs much memory, whatever its event holds. A deadline cannot do that: it does not
stop a call into C.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from jinja2 import Environment, TemplateSyntaxError, nodes

from guestbook.lib.template_sandbox import values
from guestbook.lib.template_sandbox.values import (
    BITS,
    FILTERS,
    METHODS,
    OUTPUT_LIMIT,
    TEMPLATE_STEPS,
    TESTS,
    Missing,
    StepBudget,
    TemplateFault,
)

__all__ = ["OUTPUT_LIMIT", "SOURCE_LIMIT", "TEMPLATE_STEPS", "Rendered", "TemplateFault", "parse", "render"]

SOURCE_LIMIT = 8000  # characters of a template
TREE_DEPTH = 100  # blocks, brackets, signs and dots in each other; 1 + 1 + 1 nests too
COUNTING = "Use loop.index, |length or |join instead of counting in a loop"
LOOP = "Use a loop: {% for one in list if one.name == 'x' %}"
INSTEAD = {
    nodes.Macro: ("macro", "Write what it gives where it is called, or set a name to a text"),
    nodes.CallBlock: ("call", "Write what it gives in its place"),
    nodes.FilterBlock: ("filter blocks", "Write the filter behind each value: {{ x|upper }}"),
    nodes.AssignBlock: ("set blocks", "Set the name to a value: {% set x = 'a' ~ b %}"),
    nodes.With: ("with", "Use {% set x = 1 %}"),
    nodes.Include: ("include", "Write the other template's text in its place"),
    nodes.Import: ("import", "Write what it gives in its place"),
    nodes.FromImport: ("import", "Write what it gives in its place"),
    nodes.Extends: ("extends", "Write the whole template in one piece"),
    nodes.Block: ("block", "Leave the two tags out, and keep what is between them"),
    nodes.NSRef: ("namespace", COUNTING),
    nodes.Scope: ("autoescape", "Leave it out: nothing is escaped"),
}
FILTERS_INSTEAD = {
    **dict.fromkeys(("e", "escape", "forceescape", "safe"), "Leave it out: nothing is escaped"),
    **dict.fromkeys(("map", "select", "selectattr", "reject", "rejectattr", "groupby"), LOOP),
    **dict.fromkeys(("batch", "slice"), "Use a slice such as [:5]"),
    "attr": "Write a dot and the name",
    "count": "Write |length",
    "format": "Join the parts with ~",
    "pprint": "Use |tojson",
}
CALLS_INSTEAD = {
    "range": "Go through a list of the event, and use loop.index",
    "namespace": COUNTING,
    "dict": 'Write {"name": value}',
    "cycle": "Use loop.index % 2",
    **dict.fromkeys(("index", "find", "count"), "Use `in`"),
    "format": "Join the parts with ~",
    "join": "Use the filter: list|join(', ')",
    "replace": "Use the filter: text|replace('a', 'b')",
    "encode": "Leave it out",
}

# Nothing is ever compiled in it.
_environment = Environment(trim_blocks=True, lstrip_blocks=True, cache_size=0)


class Rendered(NamedTuple):
    """The output of a template: its text, and the texts and numbers that it has `set` at its top level."""

    text: str
    names: Mapping[str, Any]  # without lists, because nobody has paid for printing them
    steps: int  # how many of TEMPLATE_STEPS it took


def render(source: str, event: Mapping[str, Any]) -> Rendered:
    """Run a template over plain values (dicts, lists, texts, numbers); raises TemplateFault."""
    template = parse(source)
    try:
        return Run(event).template(template)
    except TemplateFault:
        raise
    except (RecursionError, MemoryError):
        raise TemplateFault("The template is too deeply nested.") from None
    except Exception as error:  # whatever Python says of a value that an operation was not made for
        said = str(error).strip().rstrip(".")[:200]
        raise TemplateFault(f"The template failed: {said or type(error).__name__}.") from None


@lru_cache(16)  # Each event of a source has the same template.
def parse(source: str) -> nodes.Template:
    """Return the template's tree; raises TemplateFault with a sentence that says what to write instead."""
    if len(source) > SOURCE_LIMIT:
        raise TemplateFault(f"A template has at most {SOURCE_LIMIT:,} characters.")
    try:
        template = _environment.parse(source)
    except TemplateSyntaxError as error:
        said = (error.message or "it cannot be read").rstrip(".")
        raise TemplateFault(f"Line {error.lineno} of the template: {said}.") from None
    except RecursionError:
        raise TemplateFault("The template is too deeply nested.") from None
    except (MemoryError, SyntaxError, ValueError, OverflowError):
        raise TemplateFault("The template holds what cannot be read, such as a very long number.") from None
    level: list[nodes.Node] = [template]
    for _ in range(TREE_DEPTH):  # a level at a time, because recursion could run out of stack
        for node in level:
            _check(node)
        level = [child for node in level for child in node.iter_child_nodes()]
    if level:
        raise TemplateFault(f"Line {level[0].lineno} of the template: it is too deeply nested.")
    return template


def _check(node: nodes.Node) -> None:
    kind = type(node)
    if kind in INSTEAD:
        name, instead = INSTEAD[kind]
        _refuse(node, f"templates here have no {name}", instead)
    if kind not in KNOWN:
        _refuse(node, f"templates here have no {kind.__name__.lower()}")
    if isinstance(node, nodes.For) and node.recursive:
        _refuse(node, "templates here have no recursive loops", "Write one loop in the other")
    if isinstance(node, nodes.Const) and isinstance(node.value, int) and node.value.bit_length() > BITS:
        _refuse(node, "the number is too large")
    if isinstance(node, nodes.Filter | nodes.Test | nodes.Call):
        _check_use(node)


def _check_use(node: nodes.Filter | nodes.Test | nodes.Call) -> None:
    if isinstance(node, nodes.Call):
        is_method = isinstance(node.node, nodes.Getattr)
        name = getattr(node.node, "attr" if is_method else "name", "this")
        if not is_method or name not in METHODS:
            _refuse(node, f"templates here cannot call {name!r}", CALLS_INSTEAD.get(name, ""))
        function, shown = METHODS[name], f"{name}()"
    else:
        is_filter = isinstance(node, nodes.Filter)
        known, others = (FILTERS, FILTERS_INSTEAD) if is_filter else (TESTS, {})
        shown = f"{'filter' if is_filter else 'test'} {node.name!r}"
        if node.name not in known:
            instead = others.get(node.name, f"There are {', '.join(sorted(known))}")
            _refuse(node, f"templates here have no {shown}", instead)
        function, shown = known[node.name], f"the {shown}"
    if node.dyn_args or node.dyn_kwargs:
        _refuse(node, f"{shown} cannot take * or **", "Write each argument")
    try:
        inspect.signature(function).bind(None, None, *node.args, **{str(one.key): one for one in node.kwargs})
    except TypeError as error:
        _refuse(node, f"{shown} is not used like that ({error})")


def _refuse(node: nodes.Node, what: str, instead: str = "") -> NoReturn:
    line = node.lineno or next((child.lineno for child in node.iter_child_nodes() if child.lineno), 1)
    raise TemplateFault(f"Line {line} of the template: {what}.{f' {instead}.' if instead else ''}")


class Run:
    """One run of a template over an event."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self.budget = StepBudget()
        self._scopes: list[dict[str, Any]] = [dict(event), {}]  # a loop adds one
        self._parts: list[str] = []
        self._length = 0

    def template(self, template: nodes.Template) -> Rendered:
        """Return what it gives."""
        self._do(template.body)
        found = self._scopes[1].items()
        names = {name: one for name, one in found if name[0] != "_" and isinstance(one, str | int | float)}
        return Rendered("".join(self._parts), names, TEMPLATE_STEPS - self.budget.left)

    # Statements

    def _do(self, statements: Sequence[nodes.Node]) -> None:
        for statement in statements:
            self.budget.spend(1)
            _STATEMENTS[type(statement)](self, statement)

    def _output(self, node: nodes.Output) -> None:
        for part in node.nodes:
            text = part.data if isinstance(part, nodes.TemplateData) else self.budget.text(self._value(part))
            self._length += len(text)
            self.budget.room(len(text), self._length)
            self._parts.append(text)

    def _if(self, node: nodes.If) -> None:
        for branch in (node, *node.elif_):
            if self._value(branch.test):
                return self._do(branch.body)
        return self._do(node.else_)

    def _for(self, node: nodes.For) -> None:
        found = values.members(self.budget, self._value(node.iter))
        if test := node.test:
            found = [value for value in found if self._within(node.target, value, lambda: self._value(test))]
        for number, value in enumerate(found):
            self._within(node.target, value, lambda: self._do(node.body), loop=values.loop(found, number))
        if not found:
            self._do(node.else_)

    def _within(self, target: nodes.Node, value: Any, act: Callable[[], Any], **known: Any) -> Any:
        """Act with names that end with this turn of a loop."""
        self._scopes.append(known)
        self._set(target, value)
        result = act()
        self._scopes.pop()
        return result

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
        value, called = self._value(node.node.node), node.node.attr
        return values.call(self.budget, called, value, *self._values(node.args), **self._named(node))

    def _named(self, node: nodes.Call | nodes.Filter) -> dict[str, Any]:
        return {str(pair.key): self._value(pair.value) for pair in node.kwargs}

    def _filter(self, node: nodes.Filter) -> Any:
        assert node.node is not None
        apply, value = FILTERS[node.name], self._value(node.node)
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


_STATEMENTS: dict[type[nodes.Node], Callable[[Run, Any], None]] = {
    nodes.Output: Run._output,
    nodes.If: Run._if,
    nodes.For: Run._for,
    nodes.Assign: lambda run, node: run._set(node.target, run._value(node.node)),
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
    nodes.Test: lambda run, node: TESTS[node.name](run.budget, run._value(node.node)),
    nodes.Compare: Run._compare,
    nodes.And: lambda run, node: run._value(node.left) and run._value(node.right),
    nodes.Or: lambda run, node: run._value(node.left) or run._value(node.right),
    nodes.Not: lambda run, node: not run._value(node.node),
    nodes.Neg: lambda run, node: -values.number(run._value(node.node)),
    nodes.CondExpr: Run._choice,
    nodes.Concat: Run._concat,
    **dict.fromkeys(
        (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
        lambda run, one: values.compute(
            run.budget, one.operator, run._value(one.left), run._value(one.right)
        ),
    ),
}
_PARTS = (nodes.Template, nodes.TemplateData, nodes.Pair, nodes.Keyword, nodes.Slice, nodes.Operand)
KNOWN = {*_STATEMENTS, *_EXPRESSIONS, *_PARTS}

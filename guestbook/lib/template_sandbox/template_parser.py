"""Read a template with Jinja's own parser, and refuse what templates here do not have."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from jinja2 import Environment, TemplateSyntaxError, nodes

from guestbook.lib.template_sandbox.functions import FILTERS, METHODS, TESTS
from guestbook.lib.template_sandbox.values import BITS, TemplateFault

SOURCE_LIMIT = 8000  # characters of a template
TREE_DEPTH = 100  # blocks, brackets, signs and dots in each other; 1 + 1 + 1 nests too

COUNTING = "Use loop.index, |length or |join instead of counting in a loop"
LOOP = "Use a loop: {% for one in list if one.name == 'x' %}"
KNOWN = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign, nodes.Const),
    *(nodes.Name, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Getattr),
    *(nodes.Getitem, nodes.Slice, nodes.Call, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Concat, nodes.CondExpr),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
)
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


def read(source: str) -> nodes.Template:
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
    for node in _every(template):
        _check(node)
    return template


def _every(template: nodes.Template) -> Iterator[nodes.Node]:
    """Give each node of the tree, without calling oneself."""
    level: list[nodes.Node] = [template]
    for _ in range(TREE_DEPTH):
        yield from level
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return
    raise TemplateFault(f"Line {level[0].lineno} of the template: it is too deeply nested.")


def _check(node: nodes.Node) -> None:
    kind = type(node)
    if kind in INSTEAD:
        name, instead = INSTEAD[kind]
        _refuse(node, f"templates here have no {name}", instead)
    if kind not in KNOWN:
        _refuse(node, f"templates here have no {kind.__name__.lower()}")
    if check := _CHECKS.get(kind):
        check(node)


def _check_name(node: nodes.Filter | nodes.Test) -> None:
    is_filter = isinstance(node, nodes.Filter)
    known, named = (FILTERS, "filter") if is_filter else (TESTS, "test")
    if node.name not in known:
        other = FILTERS_INSTEAD.get(node.name) if is_filter else None
        instead = other or f"There are {', '.join(sorted(known))}"
        _refuse(node, f"templates here have no {named} {node.name!r}", instead)
    _check_arguments(node, known[node.name], f"the {named} {node.name!r}")


def _check_call(node: nodes.Call) -> None:
    called = node.node
    name = called.attr if isinstance(called, nodes.Getattr) else getattr(called, "name", "this")
    if not isinstance(called, nodes.Getattr) or name not in METHODS:
        _refuse(node, f"templates here cannot call {name!r}", CALLS_INSTEAD.get(name, ""))
    _check_arguments(node, METHODS[name], f"{name}()")


def _check_arguments(
    node: nodes.Filter | nodes.Test | nodes.Call, function: Callable[..., Any], name: str
) -> None:
    if node.dyn_args or node.dyn_kwargs:
        _refuse(node, f"{name} cannot take * or **", "Write each argument")
    try:
        named = {str(pair.key): pair for pair in node.kwargs}
        inspect.signature(function).bind(None, None, *node.args, **named)
    except TypeError as error:
        _refuse(node, f"{name} is not used like that ({error})")


def _check_for(node: nodes.For) -> None:
    if node.recursive:
        _refuse(node, "templates here have no recursive loops", "Write one loop in the other")


def _check_number(node: nodes.Const) -> None:
    if isinstance(node.value, int) and node.value.bit_length() > BITS:
        _refuse(node, "the number is too large")


def _refuse(node: nodes.Node, what: str, instead: str = "") -> NoReturn:
    line = node.lineno or next((child.lineno for child in node.iter_child_nodes() if child.lineno), 1)
    raise TemplateFault(f"Line {line} of the template: {what}.{f' {instead}.' if instead else ''}")


_CHECKS: dict[type[nodes.Node], Callable[[Any], None]] = {
    nodes.Filter: _check_name,
    nodes.Test: _check_name,
    nodes.Call: _check_call,
    nodes.For: _check_for,
    nodes.Const: _check_number,
}

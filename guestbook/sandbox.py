"""Run an owner's Jinja template over what a stranger sent: it reaches nothing but that, and it ends. Pure.

Jinja's sandbox keeps a template from Python's insides. It sets no limit to what a template computes, so here
are few filters, no method that pads or repeats, a limit of length for all that grows, and a deadline.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, wraps
from types import FrameType
from typing import Any

from jinja2 import Template, TemplateSyntaxError, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

SOURCE_LIMIT = 8000  # characters of a template
OUTPUT_LIMIT = 64_000  # characters that it may give, and that any value in it may have
SECONDS = 0.5  # that it may take
MOST_DIGITS = 100  # of a power
REMEMBERED = 64  # templates that are kept compiled

PLAIN_FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "groupby"),
    *("int", "items", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr"),
    *("reverse", "round", "select", "selectattr", "sort", "string", "striptags", "sum", "title", "tojson"),
    *("trim", "truncate", "unique", "upper", "urlencode", "wordcount"),
)
METHODS: dict[type, set[str]] = {
    str: {"capitalize", "count", "endswith", "find", "lower", "lstrip", "removeprefix", "removesuffix"}
    | {"rstrip", "split", "splitlines", "startswith", "strip", "title", "upper"},
    dict: {"get", "items", "keys", "values"},
    list: {"count", "index"},
}


class TemplateFault(Exception):
    """Why a template cannot be used, or failed over this event, in one sentence."""


class _TooLong(Exception):
    pass


class _TooSlow(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a template gave: its text, and the names that it has `set` at its top."""

    text: str
    names: Mapping[str, Any]


def check(source: str) -> None:
    """Raise TemplateFault when this is no template."""
    _compiled(source)


def render(source: str, values: Mapping[str, Any]) -> Rendered:
    """Run a template over plain values (dicts, lists, texts, numbers); raises TemplateFault."""
    template = _compiled(source)
    try:
        return _bounded(lambda: _run(template, values))
    except TemplateFault:
        raise
    except _TooLong:
        raise TemplateFault(f"The template makes more than {OUTPUT_LIMIT:,} characters.") from None
    except _TooSlow:
        raise TemplateFault(f"The template takes longer than {SECONDS} seconds.") from None
    except UndefinedError as error:
        raise TemplateFault(f"The template asks for what this event does not have: {error}.") from None
    except SecurityError:
        raise TemplateFault("The template asks for what templates cannot reach.") from None
    except RecursionError:
        raise TemplateFault("The template calls itself too often.") from None
    except MemoryError:
        raise TemplateFault("The template needs too much memory.") from None
    except Exception as error:  # whatever a filter raises over a value that it was not made for
        said = str(error).strip().rstrip(".")[:200]
        raise TemplateFault(f"The template failed: {said or type(error).__name__}.") from None


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox in which a name is first of all a key of the event."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(autoescape=False, trim_blocks=True, lstrip_blocks=True, cache_size=0)
        self.globals.clear()
        plain = {name: _measured(FILTERS[name]) for name in PLAIN_FILTERS}
        self.filters = {**plain, "join": _join, "replace": _replace}
        self.concat = _join  # type: ignore[method-assign]  # as Jinja says: a function, not a method

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Read a template; `a ~ b` becomes `[a, b]|join`, which has a limit."""
        template: nodes.Template = _Joins().visit(super()._parse(source, name, filename))
        return template

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the event's own `items` or `title` where it has one, not the method of that name."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow the methods that neither pad nor repeat, and what Jinja itself hands out."""
        for kind, names in METHODS.items():
            if isinstance(obj, kind):
                return attr in names
        return super().is_safe_attribute(obj, attr, value) and type(obj).__module__.startswith("jinja2.")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Compute what cannot grow without limit."""
        if operator == "%" and isinstance(left, str):
            raise SecurityError("% pads")
        if operator == "**" and not _is_small_power(left, right):
            raise _TooLong
        if operator == "*" and (hasattr(left, "__len__") or hasattr(right, "__len__")):
            longer, times = (left, right) if hasattr(left, "__len__") else (right, left)
            if isinstance(times, int) and len(longer) * times > OUTPUT_LIMIT:
                raise _TooLong
        if operator == "+" and hasattr(left, "__len__") and hasattr(right, "__len__"):
            _check_length(len(left) + len(right))
        return super().call_binop(context, operator, left, right)


class _Joins(NodeTransformer):
    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        texts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(texts, "join", [], [], None, None, lineno=node.lineno)


def _measured(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter whose texts and lists have a limit: some double what they get."""

    @wraps(filter_)  # with the marks by which Jinja knows what to pass
    def measured(*args: Any, **options: Any) -> Any:
        value = filter_(*args, **options)
        _check_length(len(value) if isinstance(value, str | list) else 0)
        return value

    return measured


def _is_small_power(left: Any, right: Any) -> bool:
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    return numbers and abs(right) <= MOST_DIGITS and abs(left) <= 10**9


def _check_length(length: int) -> None:
    if length > OUTPUT_LIMIT:
        raise _TooLong


def _join(value: Any, d: str = "", attribute: str | None = None) -> str:
    """Join the texts of a list, or of that attribute of its members."""
    members = list(value) if attribute is None else [one.get(attribute, "") for one in value]
    texts = [str(one) for one in members]
    _check_length(sum(map(len, texts)) + len(str(d)) * len(texts))
    return str(d).join(texts)


def _replace(value: Any, old: str, new: str) -> str:
    """Replace a text in a text."""
    text, old, new = str(value), str(old), str(new)
    _check_length(len(text) + text.count(old) * max(0, len(new) - len(old)))
    return text.replace(old, new)


_environment = _Environment()


@lru_cache(REMEMBERED)
def _compiled(source: str) -> Template:
    if len(source) > SOURCE_LIMIT:
        raise TemplateFault(f"A template has at most {SOURCE_LIMIT:,} characters.")
    try:
        return _environment.from_string(source)
    except TemplateSyntaxError as error:
        said = (error.message or "it cannot be read").rstrip(".")
        raise TemplateFault(f"Line {error.lineno} of the template: {said}.") from None
    except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError):
        raise TemplateFault("The template is too deeply nested.") from None
    except (_TooLong, SecurityError):  # constants are computed when a template is read
        raise TemplateFault("The template computes what is too long.") from None


def _run(template: Template, values: Mapping[str, Any]) -> Rendered:
    context = template.new_context(dict(values))
    parts: list[str] = []
    length = 0
    for part in template.root_render_func(context):
        parts.append(part)
        length += len(part)
        _check_length(length)
    return Rendered("".join(parts), context.get_exported())


def _bounded(work: Callable[[], Rendered]) -> Rendered:
    """Do it, and stop it in the middle when its time is up: a loop without output would never come back."""
    deadline = time.monotonic() + SECONDS

    def look(_frame: FrameType, _event: str, _argument: Any) -> Any:
        if time.monotonic() > deadline:
            raise _TooSlow
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        return work()
    finally:
        sys.settrace(before)

"""Run an owner's template over what a stranger sent: it reaches nothing but that, and it ends. Pure.

The language is a part of Jinja's: Jinja parses the template, and `interpreter` runs it step by step.
`step_budget` counts steps and characters before anything is done, so no template takes long or needs much
memory, whatever its event holds. A deadline cannot do that: it does not stop a call into C.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from guestbook.lib.template_sandbox import template_parser
from guestbook.lib.template_sandbox.interpreter import Run
from guestbook.lib.template_sandbox.step_budget import OUTPUT_LIMIT, TEMPLATE_STEPS, TemplateFault
from guestbook.lib.template_sandbox.template_parser import SOURCE_LIMIT

__all__ = ["OUTPUT_LIMIT", "SOURCE_LIMIT", "TEMPLATE_STEPS", "Rendered", "TemplateFault", "check", "render"]

_read = lru_cache(16)(template_parser.read)  # templates are kept as they were read


@dataclass(frozen=True, slots=True)
class Rendered:
    """The output of a template: its text, and the names that it has `set` at its top level."""

    text: str
    names: Mapping[str, Any]
    steps: int  # that it took, of TEMPLATE_STEPS


def check(source: str) -> None:
    """Raise TemplateFault when this is no template."""
    _read(source)


def render(source: str, values: Mapping[str, Any]) -> Rendered:
    """Run a template over plain values (dicts, lists, texts, numbers); raises TemplateFault."""
    template = _read(source)
    run = Run(values)
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

"""A condition: an expression in the template language that says which events are wanted. Pure."""

from collections.abc import Mapping
from typing import Any

from guestbook.lib import fields, template_sandbox, text
from guestbook.lib.errors import Refused
from guestbook.lib.template_sandbox import TemplateFault

LIMIT = 500  # characters, as in schema.sql
NOT_WANTED = "Not wanted: the condition is false."


def field(hint: str) -> Any:
    """Return the attribute of a noun that has a condition."""
    schema = {"type": ["string", "null"], "maxLength": LIMIT}
    return fields.line("", "Condition", hint, _checked, schema=schema, attributes=fields.CODE_INPUT)


def _checked(value: str | None) -> str | None:
    condition = text.clean_line(value or "").strip()
    is_long = len(condition) > LIMIT
    if fault := f"A condition has at most {LIMIT} characters." if is_long else evaluate(condition, None):
        raise Refused(fault, field="event_condition")
    return condition or None


def evaluate(condition: str | None, event: Mapping[str, Any] | None) -> str:
    """Return NOT_WANTED, a sentence about an error in the condition, or "".

    Without an event the condition is only read. An event for which it fails is wanted, so nothing is lost.
    """
    if not condition:
        return ""
    source = "{% set wanted = " + condition + " %}{% if wanted %}1{% endif %}"
    try:
        if "%}" in condition:
            raise TemplateFault("A template for this is one expression, without %}.")
        template_sandbox.parse(source)
        return "" if event is None or template_sandbox.render(source, event).text else NOT_WANTED
    except TemplateFault as error:
        return str(error).replace("template", "condition").replace("statement block", "condition")

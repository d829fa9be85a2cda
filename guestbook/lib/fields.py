"""The fields of a noun, each said once: its name, type, default, label, hint, check and place.

A noun is a dataclass. Each attribute is made by one of the functions below, so it keeps its type and default.
`of` returns its label, hint, check and the rest. Forms, JSON Schemas and their texts are made from these.

To add a field, add one attribute. To add a noun, write its dataclass in the room that owns it, and run the
checks of its fields before saving. A page reads its form with `typed`, and shows each field with the macro
`control` of `templates/admin/_parts.html`. A call takes the schema from `described`, and a command its option
from `cli/options.of_field`. The settings of the book in `storage/preferences.py` are the example.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from guestbook.lib import text

VISIBLE = r"[^\s\x00-\x20\x7f-\xa0]"  # In a JSON Schema, this matches a text that is not blank.
YES_OR_NO = ("yes", "no")  # A form sends these for a box that may be ticked.
EXACT_INPUT = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "none"}  # No prose.
CODE_INPUT = {"class": "code", **EXACT_INPUT}
URL_INPUT = {"inputmode": "url", **EXACT_INPUT}
NUMBER_INPUT = {"inputmode": "numeric", "maxlength": 9, "class": "number-input"}

Check = Callable[[str], Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """What is known of a field beside its name, type and default."""

    label: str
    hint: str  # The owner and programs read it. Beside a box it says what ticking it does.
    check: Check  # Returns the value of what was typed. Raises Refused or ValueError.
    control: str  # One of line, area, choice, select, several and box.
    schema: Mapping[str, Any]  # The keywords of its JSON Schema.
    place: str = ""  # Its page and heading, such as `book/Texts`. By default those of the field before.
    choices: Mapping[str, str] = dataclasses.field(default_factory=dict)  # Each value has its words.
    # The input's, in HTML. By default it is for prose, whose letters say in which direction it runs.
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"dir": "auto"})

    @property
    def described(self) -> dict[str, Any]:
        """Its JSON Schema with a description."""
        return {"description": self.hint or self.label, **self.schema}


def _attribute(control: str, default: object, label: str, hint: str, check: Check = str, **more: Any) -> Any:
    schema = more.pop("schema", {"type": "string"})
    field = Field(label=label, hint=hint, check=check, control=control, schema=schema, **more)
    return dataclasses.field(default=default, metadata={"field": field})


# Each takes the default, the label, the hint, the check and more.
line = partial(_attribute, "line")
area = partial(_attribute, "area")


def number(default: int, label: str, hint: str, limits: range, **more: Any) -> Any:
    """Return the attribute for a whole number."""
    schema = {"type": "integer", "minimum": limits[0], "maximum": limits[-1]}
    check = partial(_number, limits=limits)
    return line(default, label, hint, check, schema=schema, attributes=NUMBER_INPUT, **more)


def choice(
    default: str, label: str, hint: str, choices: Mapping[str, str], control: str = "choice", **more: Any
) -> Any:
    """Return the attribute for one of a few values: their words stand in place of the hint, or in a list.

    The value "" is none of them.
    """
    more = {"schema": {"type": "string", "enum": list(filter(None, choices))}, "choices": choices} | more
    return _attribute(control, default, label, hint, **{"check": partial(_choice, choices=choices)} | more)


# The attribute for one of several values in a drop-down list, which the noun itself checks.
select = partial(choice, control="select", check=str)


def several(
    default: Sequence[str], label: str, hint: str, check: Check, choices: Mapping[str, str], **more: Any
) -> Any:
    """Return the attribute for some of several values, each with its box."""
    items = {"type": "string", "enum": list(choices)}
    schema = {"type": "array", "items": items, **more.pop("schema", {})}
    return _attribute("several", default, label, hint, check, schema=schema, choices=choices, **more)


def box(default: bool, label: str, hint: str, **more: Any) -> Any:
    """Return the attribute for a yes or no."""
    schema = {"type": "boolean"}
    return _attribute(
        "box", default, label, hint, lambda value: _choice(value, YES_OR_NO) == "yes", schema=schema, **more
    )


def of(noun: type) -> dict[str, Field]:
    """Return the fields of a noun by name, in their order, each with its place."""
    found: dict[str, Field] = {}
    place = ""
    for attribute in dataclasses.fields(noun):
        field: Field = attribute.metadata["field"]
        place = field.place or place
        found[attribute.name] = dataclasses.replace(field, place=place)
    return found


def typed(known: Mapping[str, Field], sent: Callable[[str], list[str]]) -> dict[str, Any]:
    """Return what a form sent for each field, without the invisible characters that copying may add.

    Browsers send nothing for a box that is not ticked.
    """
    return {name: _typed(field.control, sent(name)) for name, field in known.items()}


def _typed(control: str, sent: list[str]) -> str | list[str]:
    if control == "several":
        return sent
    if control == "box":
        return as_typed(bool(sent))
    clean = text.clean_text if control == "area" else text.clean_line
    return clean(sent[0]).strip() if sent else ""


def as_typed(value: object) -> str:
    """Return a value as a form shows it and sends it back."""
    return YES_OR_NO[not value] if isinstance(value, bool) else str(value)


def _number(value: str, limits: range) -> int:
    if not value.isascii() or not value.strip().isdigit() or int(value[:9]) not in limits or len(value) > 9:
        raise ValueError(f"Please use a whole number from {limits[0]} to {limits[-1]:,}.")
    return int(value)


def _choice(value: str, choices: Iterable[str]) -> str:
    if value not in choices:
        # A page may show a choice in words of its own, and a call has the values in its schema.
        raise ValueError("Please choose one of these.")
    return value

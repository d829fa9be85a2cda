"""What the catalogue says of an event: when it happens, what its body holds, and a sample. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from guestbook.lib import clock, json_schema
from guestbook.lib.json_schema import TIME_SCHEMA, Schema, answer, described

SAMPLE_BOOK = "https://book.example"  # the address of the book in samples
SAMPLE_TIME = datetime(2026, 1, 31, 23, 59, 59, 123_000, UTC)
SAMPLE_TIME_TEXT = clock.to_text(SAMPLE_TIME)


@dataclass(frozen=True, slots=True)
class DataPart:
    """A part of an event's data: its schema, and a sample that fits."""

    schema: Schema
    sample: Any
    type_name: str | None = None  # of the type that programs make of an object
    is_optional: bool = False

    def titled(self) -> Schema:
        """Return the schema with the name of its type."""
        return {"title": self.type_name, **self.schema} if self.type_name else self.schema


class EventField(NamedTuple):
    """A field of a body, in words for people."""

    path: str
    value: str  # such as `text or null`
    meaning: str


@dataclass(frozen=True, slots=True)
class EventType:
    """An event that webhooks can get."""

    name: str
    when: str  # completes “Sent when …”
    since: str  # the first version of the guestbook that sends it
    data: Mapping[str, DataPart]

    @property
    def type_name(self) -> str:
        """Return the name of the type of its body: `CommentCreatedEvent` for `comment.created`."""
        return f"{self.name.title().replace('.', '')}Event"

    def schema(self, refer: Callable[[str], Schema] | None = None) -> Schema:
        """Return the JSON Schema of the body in the format json.

        It contains all its parts. `refer` replaces a part that has a type by a reference to the type's name.
        """
        parts = {
            name: refer(part.type_name) if refer and part.type_name else part.titled()
            for name, part in self.data.items()
        }
        optional = tuple(name for name, part in self.data.items() if part.is_optional)
        body = {
            "type": {"type": "string", "const": self.name, "description": "The name of the event."},
            "timestamp": described(TIME_SCHEMA, "When it happened."),
            "data": described(answer(parts, optional=optional), "The parts of the event."),
        }
        return {"title": self.type_name, "description": f"Sent when {self.when}.", **answer(body)}

    def fields(self) -> list[EventField]:
        """Return the fields of the body, each followed by those within it."""
        return [
            EventField(
                one.path,
                json_schema.in_words(one.schema) + ("" if one.is_required else ", may be missing"),
                one.schema.get("description", ""),
            )
            for one in json_schema.fields(self.schema())
        ]

    def sample_data(self, book: str = SAMPLE_BOOK) -> dict[str, Any]:
        """Return new data of a sample, without optional parts. `book` is the address in all its links."""
        return {name: _copied(part.sample, book) for name, part in self.data.items() if not part.is_optional}

    def example(self) -> dict[str, Any]:
        """Return a sample of the body in the format json."""
        return {"type": self.name, "timestamp": SAMPLE_TIME_TEXT, "data": self.sample_data()}


def _copied(value: Any, book: str) -> Any:
    """Copy a sample; its links lead to that book."""
    if isinstance(value, dict):
        return {name: _copied(one, book) for name, one in value.items()}
    if isinstance(value, list):
        return [_copied(one, book) for one in value]
    is_link = isinstance(value, str) and value.startswith(SAMPLE_BOOK)
    return book + value.removeprefix(SAMPLE_BOOK) if is_link else value

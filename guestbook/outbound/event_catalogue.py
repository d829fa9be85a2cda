"""The catalogue of events: each is declared here, once, with the schema of its body and a sample. Pure."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from guestbook.lib import clock, json_schema
from guestbook.lib.json_schema import (
    ID,
    TEXT,
    TIME,
    URL,
    Schema,
    answer,
    described,
    one_of,
    or_null,
)
from guestbook.storage.comment_fields import COMMENT_FIELDS, PUBLIC_FIELDS
from guestbook.storage.models.comment import COMMENT_STATUSES
from guestbook.storage.models.delivery import DISABLED_REASONS

SAMPLE_BOOK = "https://book.example"  # The address of the book in samples.
SAMPLE_TIME = datetime(2026, 1, 31, 23, 59, 59, 123_000, UTC)
SAMPLE_TIME_TEXT = clock.to_text(SAMPLE_TIME)


@dataclass(frozen=True, slots=True)
class DataPart:
    """A part of an event's data: its schema, and a sample that fits."""

    schema: Schema
    sample: Any
    type_name: str | None = None  # Programs make a type of this name.
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
    data: Mapping[str, DataPart]
    since: str = "0.1.0"  # the first version of the guestbook that sends it

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
            "timestamp": described(TIME, "When it happened."),
            "data": _object("The parts of the event.", parts, optional),
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


SAMPLE_ID = "0" * 31 + "1"


def _object(description: str, fields: Schema, optional: tuple[str, ...] = ()) -> Schema:
    return described(answer(fields, optional=optional), description)


PUBLIC_COMMENT_FIELDS: Schema = {  # The API has them too.
    "id": described(ID, "Its id."),
    **{
        name: described(
            TEXT if COMMENT_FIELDS[name].missing else or_null(TEXT),
            COMMENT_FIELDS[name].meaning,
        )
        for name in PUBLIC_FIELDS
    },
    "status": one_of(*COMMENT_STATUSES, description="Only a published comment is in the book."),
    "url": described(URL, "Its page."),
    "created_at": described(TIME, "When it was signed."),
    "number": described(
        {"type": ["integer", "null"], "minimum": 1}, "Its place in the order of signing; null for spam."
    ),
}
ORIGIN_SCHEMA: Schema = _object(
    "Where it comes from; missing where a visitor wrote it.",
    {
        "name": described(TEXT, "The source."),
        "url": described(or_null(TEXT), "The address there."),
    },
)
LINK_SCHEMA: Schema = _object(
    "A link to moderate the held comment; only for webhooks with links to moderate.",
    {
        "url": described(URL, "The link."),
        "expires_at": described(TIME, "When it stops working."),
    },
)
SAMPLE_LINK = {"url": f"{SAMPLE_BOOK}/moderate/{'0' * 87}1", "expires_at": SAMPLE_TIME_TEXT}

GUESTBOOK_PART = DataPart(
    _object(
        "The guestbook that sends the event.",
        {
            "title": described(TEXT, "Its title."),
            "url": described(URL, "Its address."),
        },
    ),
    {"title": "Guestbook", "url": SAMPLE_BOOK},
    "EventGuestbook",
)
COMMENT_PART = DataPart(
    _object(
        "The comment as it was at that moment.",
        PUBLIC_COMMENT_FIELDS
        | {
            "origin": ORIGIN_SCHEMA,
            "note": described(
                TEXT, "The visitor’s note to the owner; only for webhooks with links to moderate."
            ),
        },
        ("origin", "note"),
    ),
    {
        "id": SAMPLE_ID,
        **{name: COMMENT_FIELDS[name].sample for name in PUBLIC_FIELDS},
        "status": "published",
        "url": f"{SAMPLE_BOOK}/comments/{SAMPLE_ID}",
        "created_at": SAMPLE_TIME_TEXT,
        "number": 73,
    },
    "EventComment",
)
SEQUENCE_PART = DataPart(
    described({"type": "integer", "minimum": 1}, "Counts the events about this comment, from 1."),
    1,
)
TRASHED_PART = replace(COMMENT_PART, sample=COMMENT_PART.sample | {"status": "trash"})
MODERATION_PART = DataPart(LINK_SCHEMA, SAMPLE_LINK, "ModerationLink", is_optional=True)
REPLY_PART = DataPart(
    _object(
        "The owner’s answer.",
        {
            "message": described(TEXT, "Plain text with line breaks."),
            "created_at": described(TIME, "When it was written or last changed."),
        },
    ),
    {"message": 'Thank you, "Lace".', "created_at": SAMPLE_TIME_TEXT},
    "EventReply",
)
HELD_COMMENT_SCHEMA: Schema = _object(
    "One of them.",
    {
        "id": described(ID, "The id of the comment."),
        "held_at": described(TIME, "Since when it waits."),
        "moderation": LINK_SCHEMA,
    },
    ("moderation",),
)
WAITING_PART = DataPart(
    _object(
        "The held comments, without words of visitors.",
        {
            "count": {"type": "integer", "minimum": 1, "description": "How many comments wait in all."},
            "since": described(TIME, "Since when the oldest waits."),
            "url": described(URL, "The admin page that lists them."),
            "comments": {
                "type": "array",
                "items": HELD_COMMENT_SCHEMA,
                "description": "Those that no reminder has named before, at most ten, the oldest first.",
            },
        },
    ),
    {
        "count": 2,
        "since": SAMPLE_TIME_TEXT,
        "url": f"{SAMPLE_BOOK}/admin/comments/?status=held",
        "comments": [{"id": SAMPLE_ID, "held_at": SAMPLE_TIME_TEXT, "moderation": SAMPLE_LINK}],
    },
    "WaitingComments",
)
SOURCE_PART = DataPart(
    _object(
        "The source that received the webhook.",
        {"id": described(ID, "Its id."), "name": described(TEXT, "Its name.")},
    ),
    {"id": SAMPLE_ID, "name": "GitHub"},
    "EventSource",
)
INBOUND_PART = DataPart(
    _object(
        "The webhook that came in.",
        {
            "id": described(ID, "Its id in the inbox."),
            "event": described(or_null(TEXT), "The sender’s name for it."),
            "external_id": described(or_null(TEXT), "The sender’s id for it."),
            "sender": described(or_null(TEXT), "The person or program that the payload names."),
            "received_at": described(TIME, "When it arrived."),
            "hops": {
                "type": "integer",
                "minimum": 1,
                "description": "How many guestbooks have forwarded it.",
            },
            "payload": {"description": "The sender’s data, read from JSON or a form."},
            "left_out": described(TEXT, "Why the payload is null, and where to find it."),
            "payload_url": described(URL, "Where the API has a payload that was left out."),
        },
        ("left_out", "payload_url"),
    ),
    {
        "id": SAMPLE_ID,
        "event": "star",
        "external_id": "1",
        "sender": "octocat",
        "received_at": SAMPLE_TIME_TEXT,
        "hops": 1,
        "payload": {"action": "created"},
    },
    "InboundWebhook",
)


def _webhook(type_name: str, description: str, reason: Schema | None = None, sample: Any = None) -> DataPart:
    """Return the part about a webhook, with a reason or without the field."""
    shape = {"id": described(ID, "Its id."), "name": described(TEXT, "Its name.")}
    facts = {"id": SAMPLE_ID, "name": "Chat"}
    if reason:
        shape, facts = {**shape, "reason": reason}, {**facts, "reason": sample}
    return DataPart(described(answer(shape), description), facts, type_name)


TESTED_PART = _webhook("TestedWebhook", "The webhook that is tested.")
FAILING_PART = _webhook(
    "FailingWebhook",
    "The other webhook.",
    described(TEXT, "Why its latest attempt failed: a sentence."),
    "The receiver answered 500.",
)
RECOVERED_PART = _webhook(
    "RecoveredWebhook", "The other webhook.", {"type": "null", "description": "There is none."}
)
DISABLED_PART = _webhook(
    "DisabledWebhook",
    "The other webhook.",
    one_of(
        *(one for one in DISABLED_REASONS if one != "by_hand"),  # The owner knows of that.
        description="It has failed for days, or its receiver is gone.",
    ),
    "failing",
)


ABOUT_COMMENT = {"comment": COMMENT_PART, "sequence": SEQUENCE_PART}  # All events about a comment have these.
BOOK = {"guestbook": GUESTBOOK_PART}  # Every event has it.

EVENTS: dict[str, EventType] = {
    event.name: event
    for event in (
        EventType(
            "comment.created",
            "a comment was stored and is not spam, published or held",
            {**ABOUT_COMMENT, "moderation": MODERATION_PART, **BOOK},
        ),
        EventType("comment.published", "a comment became visible", {**ABOUT_COMMENT, **BOOK}),
        EventType(
            "comment.deleted",
            "a comment went into the trash or the spam, or was deleted for good",
            {**ABOUT_COMMENT, "comment": TRASHED_PART, **BOOK},
        ),
        EventType(
            "comment.replied",
            "the owner answered a comment, or changed the answer",
            {**ABOUT_COMMENT, "reply": REPLY_PART, **BOOK},
        ),
        EventType(
            "comments.waiting",
            "comments have waited for the owner for a day; each comment is in one reminder",
            {"waiting": WAITING_PART, **BOOK},
        ),
        EventType(
            "inbound.received",
            "one of the book’s sources forwarded a webhook",
            {"source": SOURCE_PART, "inbound": INBOUND_PART, **BOOK},
        ),
        EventType(
            "webhook.failing",
            "an attempt to another webhook failed, and it had been healthy; once, until it recovers",
            {"webhook": FAILING_PART, **BOOK},
        ),
        EventType(
            "webhook.recovered",
            "another webhook that was failing has had a success again",
            {"webhook": RECOVERED_PART, **BOOK},
        ),
        EventType(
            "webhook.disabled",
            "another webhook was disabled: it failed for days, or its receiver is gone",
            {"webhook": DISABLED_PART, **BOOK},
        ),
        EventType(
            "ping",
            "a webhook is tested, whatever events it wants",
            {"webhook": TESTED_PART, **BOOK},
        ),
    )
}


def shared_fields() -> dict[str, list[EventField]]:
    """Return the fields that every event has, and those of all events about a comment, by a heading."""
    every = EventType("its name", "", BOOK).fields()
    about = EventType("", "", {**ABOUT_COMMENT, **BOOK}).fields()[1:]
    return {
        "Every event": every,
        "Events about a comment": [one for one in about if one not in every],
    }


def own_fields(event: EventType) -> list[EventField]:
    """Return the fields of an event that are not among the shared ones, or say something else."""
    shared = [one for some in shared_fields().values() for one in some]
    return [one for one in event.fields()[1:] if one not in shared]


def sample_parts() -> dict[str, Any]:
    """Return a new sample of each part that the data of an event can have; where several differ, one."""
    return {name: copy.deepcopy(part.sample) for name, part in _parts()}


def types() -> dict[str, DataPart]:
    """Return the parts that have a type, by its name."""
    return {part.type_name: part for _, part in _parts() if part.type_name}


def _parts() -> list[tuple[str, DataPart]]:
    return [item for event in EVENTS.values() for item in event.data.items()]

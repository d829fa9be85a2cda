"""The catalogue of events: each is declared here, once, with the schema of its body and a sample. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from guestbook.lib import clock, json_schema as schema
from guestbook.lib.json_schema import TEXT, Schema, answer, described, or_null
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
            "timestamp": schema.time("When it happened."),
            "data": _object("The parts of the event.", parts, *optional),
        }
        return {"title": self.type_name, "description": f"Sent when {self.when}.", **answer(body)}

    def fields(self) -> list[EventField]:
        """Return the fields of the body, each followed by those within it."""
        return [
            EventField(
                one.path,
                schema.in_words(one.schema) + ("" if one.is_required else ", may be missing"),
                one.schema.get("description", ""),
            )
            for one in schema.fields(self.schema())
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


def _object(description: str, fields: Schema, *optional: str) -> Schema:
    return described(answer(fields, optional=optional), description)


PUBLIC_COMMENT_FIELDS: Schema = {  # The API has them too.
    "id": schema.id_("Its id."),
    **{
        name: described(TEXT if field.missing else or_null(TEXT), field.meaning)
        for name, field in ((name, COMMENT_FIELDS[name]) for name in PUBLIC_FIELDS)
    },
    "status": schema.one_of(*COMMENT_STATUSES, description="Only a published comment is in the book."),
    "url": schema.url("Its page."),
    "created_at": schema.time("When it was signed."),
    "number": or_null(schema.integer("Its place in the order of signing; null for spam.", minimum=1)),
    "page": schema.text_or_null(
        "The address of the page that it is about; null in the whole book, and after a deletion for good."
    ),
}
ORIGIN_SCHEMA = _object(
    "Where it comes from; missing where a visitor wrote it.",
    {"name": schema.text("The source."), "url": schema.text_or_null("The address there.")},
)
LINK_SCHEMA = _object(
    "A link to moderate the held comment; only for webhooks with links to moderate.",
    {"url": schema.url("The link."), "expires_at": schema.time("When it stops working.")},
)
SAMPLE_LINK = {"url": f"{SAMPLE_BOOK}/moderate/{'0' * 87}1", "expires_at": SAMPLE_TIME_TEXT}
NOTE_SCHEMA = schema.text("The visitor’s note to the owner; only for webhooks with links to moderate.")
GUESTBOOK_SCHEMA = {"title": schema.text("Its title."), "url": schema.url("Its address.")}

BOOK = {  # Every event has it.
    "guestbook": DataPart(
        _object("The guestbook that sends the event.", GUESTBOOK_SCHEMA),
        {"title": "Guestbook", "url": SAMPLE_BOOK},
        "EventGuestbook",
    )
}
COMMENT_PART = DataPart(
    _object(
        "The comment as it was at that moment.",
        {**PUBLIC_COMMENT_FIELDS, "origin": ORIGIN_SCHEMA, "note": NOTE_SCHEMA},
        *("origin", "note"),
    ),
    {
        "id": SAMPLE_ID,
        **{name: COMMENT_FIELDS[name].sample for name in PUBLIC_FIELDS},
        "status": "published",
        "url": f"{SAMPLE_BOOK}/comments/{SAMPLE_ID}",
        "created_at": SAMPLE_TIME_TEXT,
        "number": 73,
        "page": "https://example.org/hello/",
    },
    "EventComment",
)
ABOUT_COMMENT = {  # All events about a comment have these.
    "comment": COMMENT_PART,
    "sequence": DataPart(schema.integer("Counts the events about this comment, from 1.", minimum=1), 1),
}
TRASHED_PART = replace(COMMENT_PART, sample=COMMENT_PART.sample | {"status": "trash"})
MODERATION_PART = DataPart(LINK_SCHEMA, SAMPLE_LINK, "ModerationLink", is_optional=True)
REPLY_PART = DataPart(
    _object(
        "The owner’s answer.",
        {
            "message": schema.text("Plain text with line breaks."),
            "created_at": schema.time("When it was written or last changed."),
        },
    ),
    {"message": 'Thank you, "Lace".', "created_at": SAMPLE_TIME_TEXT},
    "EventReply",
)
HELD_COMMENT_SCHEMA = _object(
    "One of them.",
    {
        "id": schema.id_("The id of the comment."),
        "held_at": schema.time("Since when it waits."),
        "moderation": LINK_SCHEMA,
    },
    "moderation",
)
NEWLY_HELD = "Those that no reminder has named before, at most ten, the oldest first."
WAITING_PART = DataPart(
    _object(
        "The held comments, without words of visitors.",
        {
            "count": schema.integer("How many comments wait in all.", minimum=1),
            "since": schema.time("Since when the oldest waits."),
            "url": schema.url("The admin page that lists them."),
            "comments": schema.array(HELD_COMMENT_SCHEMA, NEWLY_HELD),
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
        {"id": schema.id_("Its id."), "name": schema.text("Its name.")},
    ),
    {"id": SAMPLE_ID, "name": "GitHub"},
    "EventSource",
)
INBOUND_PART = DataPart(
    _object(
        "The webhook that came in.",
        {
            "id": schema.id_("Its id in the inbox."),
            "event": schema.text_or_null("The sender’s name for it."),
            "external_id": schema.text_or_null("The sender’s id for it."),
            "sender": schema.text_or_null("The person or program that the payload names."),
            "received_at": schema.time("When it arrived."),
            "hops": schema.integer("How many guestbooks have forwarded it.", minimum=1),
            "payload": {"description": "The sender’s data, read from JSON or a form."},
            "left_out": schema.text("Why the payload is null, and where to find it."),
            "payload_url": schema.url("Where the API has a payload that was left out."),
        },
        *("left_out", "payload_url"),
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
    shape = {"id": schema.id_("Its id."), "name": schema.text("Its name.")}
    facts = {"id": SAMPLE_ID, "name": "Chat"}
    if reason:
        shape, facts = {**shape, "reason": reason}, {**facts, "reason": sample}
    return DataPart(_object(description, shape), facts, type_name)


TESTED_PART = _webhook("TestedWebhook", "The webhook that is tested.")
FAILING_PART = _webhook(
    "FailingWebhook",
    "The other webhook.",
    schema.text("Why its latest attempt failed: a sentence."),
    "The receiver answered 500.",
)
NO_REASON: Schema = {"type": "null", "description": "There is none."}
RECOVERED_PART = _webhook("RecoveredWebhook", "The other webhook.", NO_REASON)
# The owner knows of one that was disabled by hand.
DISABLED_BY_US = [one for one in DISABLED_REASONS if one != "by_hand"]
DISABLED_PART = _webhook(
    "DisabledWebhook",
    "The other webhook.",
    schema.one_of(*DISABLED_BY_US, description="It has failed for days, or its receiver is gone."),
    "failing",
)


_EVENTS = (
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
    EventType("ping", "a webhook is tested, whatever events it wants", {"webhook": TESTED_PART, **BOOK}),
)
EVENTS = {event.name: event for event in _EVENTS}


def shared_fields() -> dict[str, list[EventField]]:
    """Return the fields that every event has, and those of all events about a comment, by a heading."""
    every = EventType("its name", "", BOOK).fields()
    about = EventType("", "", {**ABOUT_COMMENT, **BOOK}).fields()[1:]
    return {"Every event": every, "Events about a comment": [one for one in about if one not in every]}


def own_fields(event: EventType) -> list[EventField]:
    """Return the fields of an event that are not among the shared ones, or say something else."""
    shared = [one for some in shared_fields().values() for one in some]
    return [one for one in event.fields()[1:] if one not in shared]


def types() -> dict[str, DataPart]:
    """Return the parts that have a type, by its name."""
    parts = [part for event in EVENTS.values() for part in event.data.values()]
    return {part.type_name: part for part in parts if part.type_name}

"""The catalogue of events: each is declared here, once, with the schema of its body and a sample. Pure.

Commands, pages, the API, its document, previews and docs/reference/events.md take the events from here.
"""

import copy
from typing import Any

from guestbook.outbound.event_catalogue.data_parts import (
    COMMENT_PART,
    DISABLED_PART,
    FAILING_PART,
    GUESTBOOK_PART,
    INBOUND_PART,
    MODERATION_PART,
    RECOVERED_PART,
    REPLY_PART,
    SEQUENCE_PART,
    SOURCE_PART,
    TESTED_PART,
    TRASHED_PART,
    WAITING_PART,
)
from guestbook.outbound.event_catalogue.event_type import DataPart, EventField, EventType

FIRST_VERSION = "0.1.0"
ABOUT_COMMENT = {"comment": COMMENT_PART, "sequence": SEQUENCE_PART}  # what all events about a comment have
BOOK = {"guestbook": GUESTBOOK_PART}  # what every event has

EVENTS: dict[str, EventType] = {
    event.name: event
    for event in (
        EventType(
            "comment.created",
            "a comment was stored and is not spam, published or held",
            FIRST_VERSION,
            {**ABOUT_COMMENT, "moderation": MODERATION_PART, **BOOK},
        ),
        EventType("comment.published", "a comment became visible", FIRST_VERSION, {**ABOUT_COMMENT, **BOOK}),
        EventType(
            "comment.deleted",
            "a comment went into the trash or the spam, or was deleted for good",
            FIRST_VERSION,
            {**ABOUT_COMMENT, "comment": TRASHED_PART, **BOOK},
        ),
        EventType(
            "comment.replied",
            "the owner answered a comment, or changed the answer",
            FIRST_VERSION,
            {**ABOUT_COMMENT, "reply": REPLY_PART, **BOOK},
        ),
        EventType(
            "comments.waiting",
            "comments have waited for the owner for a day; each comment is in one reminder",
            FIRST_VERSION,
            {"waiting": WAITING_PART, **BOOK},
        ),
        EventType(
            "inbound.received",
            "one of the book’s sources forwarded a webhook",
            FIRST_VERSION,
            {"source": SOURCE_PART, "inbound": INBOUND_PART, **BOOK},
        ),
        EventType(
            "webhook.failing",
            "an attempt to another webhook failed, and it had been healthy; once, until it recovers",
            FIRST_VERSION,
            {"webhook": FAILING_PART, **BOOK},
        ),
        EventType(
            "webhook.recovered",
            "another webhook that was failing has had a success again",
            FIRST_VERSION,
            {"webhook": RECOVERED_PART, **BOOK},
        ),
        EventType(
            "webhook.disabled",
            "another webhook was disabled: it failed for days, or its receiver is gone",
            FIRST_VERSION,
            {"webhook": DISABLED_PART, **BOOK},
        ),
        EventType(
            "ping",
            "a webhook is tested, whatever events it wants",
            FIRST_VERSION,
            {"webhook": TESTED_PART, **BOOK},
        ),
    )
}


def shared_fields() -> dict[str, list[EventField]]:
    """Return the fields that every event has, and those of all events about a comment, by a heading."""
    every = EventType("its name", "", FIRST_VERSION, BOOK).fields()
    about = EventType("", "", FIRST_VERSION, {**ABOUT_COMMENT, **BOOK}).fields()[1:]
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

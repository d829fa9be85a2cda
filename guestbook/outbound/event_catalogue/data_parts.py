"""The parts of the data of events: what each holds, and a sample of it. Pure."""

from dataclasses import replace
from typing import Any

from guestbook.lib.json_schema import (
    ID_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    URL_SCHEMA,
    Schema,
    answer,
    described,
    one_of,
    or_null,
)
from guestbook.outbound.event_catalogue.event_type import SAMPLE_BOOK, SAMPLE_TIME_TEXT, DataPart
from guestbook.storage.models.comment import COMMENT_STATUSES
from guestbook.storage.models.webhook import DISABLED_REASONS

SAMPLE_ID = "0" * 31 + "1"

PUBLIC_COMMENT_FIELDS: Schema = {  # also of the API
    "id": described(ID_SCHEMA, "Its id."),
    "name": described(TEXT_SCHEMA, "The visitor’s name; empty after a deletion for good."),
    # As it was typed, so its host may be in any script, which no URI has.
    "website": described(or_null(TEXT_SCHEMA), "The visitor’s website; its host may be in any script."),
    "place": described(or_null(TEXT_SCHEMA), "Where the visitor comes from."),
    "message": described(TEXT_SCHEMA, "Plain text with line breaks; empty after a deletion for good."),
    "status": one_of(*COMMENT_STATUSES, description="Only a published comment is in the book."),
    "url": described(URL_SCHEMA, "Its page."),
    "created_at": described(TIME_SCHEMA, "When it was signed."),
    "number": described(
        {"type": ["integer", "null"], "minimum": 1}, "Its place in the order of signing; null for spam."
    ),
}
ORIGIN_SCHEMA: Schema = described(
    answer(
        {
            "name": described(TEXT_SCHEMA, "The source."),
            "url": described(or_null(TEXT_SCHEMA), "The address there."),
        }
    ),
    "Where it comes from; missing where a visitor wrote it.",
)
LINK_SCHEMA: Schema = described(
    answer(
        {
            "url": described(URL_SCHEMA, "The link."),
            "expires_at": described(TIME_SCHEMA, "When it stops working."),
        }
    ),
    "A link to moderate the held comment; only for webhooks with links to moderate.",
)
SAMPLE_LINK = {"url": f"{SAMPLE_BOOK}/moderate/{'0' * 87}1", "expires_at": SAMPLE_TIME_TEXT}

GUESTBOOK_PART = DataPart(
    described(
        answer(
            {
                "title": described(TEXT_SCHEMA, "Its title."),
                "url": described(URL_SCHEMA, "Its address."),
            }
        ),
        "The guestbook that sends the event.",
    ),
    {"title": "Guestbook", "url": SAMPLE_BOOK},
    "EventGuestbook",
)
COMMENT_PART = DataPart(
    described(
        answer(
            PUBLIC_COMMENT_FIELDS
            | {
                "origin": ORIGIN_SCHEMA,
                "note": described(
                    TEXT_SCHEMA, "The visitor’s note to the owner; only for webhooks with links to moderate."
                ),
            },
            optional=("origin", "note"),
        ),
        "The comment as it was at that moment.",
    ),
    {
        "id": SAMPLE_ID,
        "name": 'Ada "Lace" Lovelace',  # quotes break a template that writes no JSON
        "website": "https://ada.example/",
        "place": "London",
        "message": 'What a lovely "book"!\nI will come again.',
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
    described(
        answer(
            {
                "message": described(TEXT_SCHEMA, "Plain text with line breaks."),
                "created_at": described(TIME_SCHEMA, "When it was written or last changed."),
            }
        ),
        "The owner’s answer.",
    ),
    {"message": 'Thank you, "Lace".', "created_at": SAMPLE_TIME_TEXT},
    "EventReply",
)
HELD_COMMENT_SCHEMA: Schema = described(
    answer(
        {
            "id": described(ID_SCHEMA, "The id of the comment."),
            "held_at": described(TIME_SCHEMA, "Since when it waits."),
            "moderation": LINK_SCHEMA,
        },
        optional=("moderation",),
    ),
    "One of them.",
)
WAITING_PART = DataPart(
    described(
        answer(
            {
                "count": {"type": "integer", "minimum": 1, "description": "How many comments wait in all."},
                "since": described(TIME_SCHEMA, "Since when the oldest waits."),
                "url": described(URL_SCHEMA, "The admin page that lists them."),
                "comments": {
                    "type": "array",
                    "items": HELD_COMMENT_SCHEMA,
                    "description": "Those that no reminder has named before, at most ten, the oldest first.",
                },
            }
        ),
        "The held comments, without words of visitors.",
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
    described(
        answer({"id": described(ID_SCHEMA, "Its id."), "name": described(TEXT_SCHEMA, "Its name.")}),
        "The source that received the webhook.",
    ),
    {"id": SAMPLE_ID, "name": "GitHub"},
    "EventSource",
)
INBOUND_PART = DataPart(
    described(
        answer(
            {
                "id": described(ID_SCHEMA, "Its id in the inbox."),
                "event": described(or_null(TEXT_SCHEMA), "The sender’s name for it."),
                "external_id": described(or_null(TEXT_SCHEMA), "The sender’s id for it."),
                "sender": described(or_null(TEXT_SCHEMA), "The person or program that the payload names."),
                "received_at": described(TIME_SCHEMA, "When it arrived."),
                "hops": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "How many guestbooks have forwarded it.",
                },
                "payload": {"description": "The sender’s data, read from JSON or a form."},
                "left_out": described(TEXT_SCHEMA, "Why the payload is null, and where to find it."),
                "payload_url": described(URL_SCHEMA, "Where the API has a payload that was left out."),
            },
            optional=("left_out", "payload_url"),
        ),
        "The webhook that came in.",
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
    shape = {"id": described(ID_SCHEMA, "Its id."), "name": described(TEXT_SCHEMA, "Its name.")}
    facts = {"id": SAMPLE_ID, "name": "Chat"}
    if reason:
        shape, facts = {**shape, "reason": reason}, {**facts, "reason": sample}
    return DataPart(described(answer(shape), description), facts, type_name)


TESTED_PART = _webhook("TestedWebhook", "The webhook that is tested.")
FAILING_PART = _webhook(
    "FailingWebhook",
    "The other webhook.",
    described(TEXT_SCHEMA, "Why its latest attempt failed: a sentence."),
    "The receiver answered 500.",
)
RECOVERED_PART = _webhook(
    "RecoveredWebhook", "The other webhook.", {"type": "null", "description": "There is none."}
)
DISABLED_PART = _webhook(
    "DisabledWebhook",
    "The other webhook.",
    one_of(
        *(one for one in DISABLED_REASONS if one != "by_hand"),  # the owner knows of that
        description="It has failed for days, or its receiver is gone.",
    ),
    "failing",
)
